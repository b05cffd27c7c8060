//! The SmolLM2 network: a Llama decoder (arXiv 2302.13971) with grouped-query attention and tied embeddings, read
//! from a GGUF file.
//!
//! Invariant: what [`Llama::feed`] computes for a token depends on the tokens up to it and on nothing else, in
//! particular not on how they were divided into calls (see [`super::kernel`]).
#![expect(clippy::indexing_slicing, reason = "the shapes of all tensors are checked by `Llama::load`")]

use std::io::{Read, Seek};

use super::gguf::{Gguf, GgufError};
use super::kernel::{self, AttentionHeads, BLOCK, Quantized};

/// The longest text the model is given, prompt and reply together. It was trained for 8,192; half of that
/// keeps the memory of one conversation below 190 MB.
pub(super) const CONTEXT: usize = 4096;

/// Tokens that go through the layers together: enough to reuse each weight, few enough to stay in cache.
const BATCH: usize = 64;

/// Layers, heads or numbers in a row at most: far more than a model of this size has.
const MOST: u64 = 0xFFFF;

/// Numbers a head at most. The table of rotations grows with it.
const HEAD: usize = 512;

/// The network.
#[derive(Debug)]
pub(super) struct Llama {
    embedding: Quantized,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    epsilon: f32,
    heads: AttentionHeads,
    /// Cosine and sine of each pair's angle, for each position.
    rotation: Vec<(f32, f32)>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Quantized,
    key: Quantized,
    value: Quantized,
    output: Quantized,
    feed_forward_norm: Vec<f32>,
    gate: Quantized,
    up: Quantized,
    down: Quantized,
}

/// What the model remembers of a text: the tokens, and each layer's keys and values of each of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    tokens: Vec<u32>,
    layers: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Memory {
    /// The tokens it is about.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Forgets all but the first `count` tokens.
    pub(super) fn truncate(&mut self, count: usize) {
        let before = self.tokens.len();
        self.tokens.truncate(count);
        for part in self.layers.iter_mut().flat_map(|(keys, values)| [keys, values]) {
            let width = part.len().checked_div(before).unwrap_or(0);
            part.truncate(width * count);
        }
    }

    /// A copy of the first `count` tokens.
    pub(super) fn prefix(&self, count: usize) -> Self {
        let part = |part: &[f32]| {
            let width = part.len().checked_div(self.tokens.len()).unwrap_or(0);
            part[..width * count.min(self.tokens.len())].to_vec()
        };
        let layers = self.layers.iter().map(|(keys, values)| (part(keys), part(values))).collect();
        Self { tokens: self.tokens.iter().take(count).copied().collect(), layers }
    }
}

impl Llama {
    /// Reads the network of a `vocabulary` of so many tokens. Weights are re-quantized to 8 bits, a slab of rows at a
    /// time, so that memory never holds a second copy.
    pub(super) fn load<F: Read + Seek>(gguf: &mut Gguf<F>, vocabulary: usize) -> Result<Self, GgufError> {
        let width = size(gguf, "llama.embedding_length")?;
        let inner = size(gguf, "llama.feed_forward_length")?;
        let queries = size(gguf, "llama.attention.head_count")?;
        let groups = size(gguf, "llama.attention.head_count_kv")?;
        let heads = AttentionHeads { queries, groups, width: width / queries };
        let sound = heads.width * queries == width && queries.is_multiple_of(groups);
        // The vectors of the widest processors hold 16 numbers; a head that is no multiple would lose its rest.
        let whole = heads.width.is_multiple_of(16) && width.is_multiple_of(BLOCK) && inner.is_multiple_of(BLOCK);
        if !sound || !whole || !(1..=HEAD).contains(&heads.width) {
            return Err(GgufError::Missing("layer sizes".to_owned()));
        }
        let embedding = matrix(gguf, "token_embd.weight", width, vocabulary)?;
        let count = size(gguf, "llama.block_count")?;
        let layers = (0..count).map(|index| Layer::load(gguf, index, width, inner, heads));
        let layers = layers.collect::<Result<_, _>>()?;
        let norm = vector(gguf, "output_norm.weight", width)?;
        let epsilon = gguf.float("llama.attention.layer_norm_rms_epsilon")?;
        let rotation = rotation(gguf.float("llama.rope.freq_base")?, heads.width);
        Ok(Self { embedding, layers, norm, epsilon, heads, rotation })
    }

    /// Reads on: appends `tokens` to what `memory` knows. Returns the last token's final state, for
    /// [`Llama::logits`]; `None` without tokens. The caller keeps within [`CONTEXT`].
    pub(super) fn feed(&self, tokens: &[u32], memory: &mut Memory) -> Option<Vec<f32>> {
        if memory.layers.is_empty() {
            memory.layers = vec![Default::default(); self.layers.len()];
        }
        let mut last = None;
        for batch in tokens.chunks(BATCH) {
            let states = self.feed_batch(batch, memory);
            last = states.chunks_exact(self.norm.len()).next_back().map(<[f32]>::to_vec);
        }
        last
    }

    /// For each token of the vocabulary, the logarithm of how likely it comes next, up to a constant.
    pub(super) fn logits(&self, state: &[f32]) -> Vec<f32> {
        let state = kernel::normalize(state, &self.norm, self.epsilon);
        kernel::product(&self.embedding, &Quantized::of(&state, self.norm.len()))
    }

    fn feed_batch(&self, tokens: &[u32], memory: &mut Memory) -> Vec<f32> {
        let width = self.norm.len();
        let first = memory.tokens.len();
        let mut states = vec![0.0; tokens.len() * width];
        for (token, state) in tokens.iter().zip(states.chunks_exact_mut(width)) {
            self.embedding.dequantize(*token as usize, state);
        }
        for (layer, (keys, values)) in self.layers.iter().zip(&mut memory.layers) {
            self.attention(layer, &mut states, first, keys, values);
            self.feed_forward(layer, &mut states);
        }
        memory.tokens.extend_from_slice(tokens);
        states
    }

    fn attention(&self, layer: &Layer, states: &mut [f32], first: usize, keys: &mut Vec<f32>, values: &mut Vec<f32>) {
        let width = self.norm.len();
        let kept = self.heads.groups * self.heads.width;
        let input = Quantized::of(&kernel::normalize(states, &layer.attention_norm, self.epsilon), width);
        let mut queries = kernel::product(&layer.query, &input);
        let mut new = kernel::product(&layer.key, &input);
        self.rotate(&mut queries, width, first);
        self.rotate(&mut new, kept, first);
        keys.extend_from_slice(&new);
        values.extend_from_slice(&kernel::product(&layer.value, &input));
        let mut mixed = vec![0.0; states.len()];
        for (index, (query, out)) in queries.chunks_exact(width).zip(mixed.chunks_exact_mut(width)).enumerate() {
            let seen = (first + index + 1) * kept;
            kernel::attend(self.heads, query, &keys[..seen], &values[..seen], out);
        }
        kernel::add(states, &kernel::product(&layer.output, &Quantized::of(&mixed, width)));
    }

    fn feed_forward(&self, layer: &Layer, states: &mut [f32]) {
        let input = kernel::normalize(states, &layer.feed_forward_norm, self.epsilon);
        let input = Quantized::of(&input, self.norm.len());
        let mut gate = kernel::product(&layer.gate, &input);
        kernel::swiglu(&mut gate, &kernel::product(&layer.up, &input));
        kernel::add(states, &kernel::product(&layer.down, &Quantized::of(&gate, layer.gate.rows())));
    }

    /// Rotary position embedding (arXiv 2104.09864) over neighbouring pairs, the layout GGUF gives Llama's weights.
    fn rotate(&self, rows: &mut [f32], width: usize, first: usize) {
        let pairs = self.heads.width / 2;
        for (index, row) in rows.chunks_exact_mut(width).enumerate() {
            let turns = &self.rotation[(first + index) * pairs..][..pairs];
            for head in row.chunks_exact_mut(self.heads.width) {
                for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
                    let [a, b] = *pair;
                    *pair = [a * cos - b * sin, a * sin + b * cos];
                }
            }
        }
    }
}

impl Layer {
    fn load<F: Read + Seek>(
        gguf: &mut Gguf<F>,
        index: usize,
        width: usize,
        inner: usize,
        heads: AttentionHeads,
    ) -> Result<Self, GgufError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let kept = heads.groups * heads.width;
        Ok(Self {
            attention_norm: vector(gguf, &name("attn_norm"), width)?,
            query: matrix(gguf, &name("attn_q"), width, width)?,
            key: matrix(gguf, &name("attn_k"), width, kept)?,
            value: matrix(gguf, &name("attn_v"), width, kept)?,
            output: matrix(gguf, &name("attn_output"), width, width)?,
            feed_forward_norm: vector(gguf, &name("ffn_norm"), width)?,
            gate: matrix(gguf, &name("ffn_gate"), width, inner)?,
            up: matrix(gguf, &name("ffn_up"), width, inner)?,
            down: matrix(gguf, &name("ffn_down"), inner, width)?,
        })
    }
}

fn rotation(base: f32, width: usize) -> Vec<(f32, f32)> {
    let angle = |position: usize, pair: usize| {
        let frequency = f64::from(base).powf(-2.0 * pair as f64 / width as f64);
        position as f64 * frequency
    };
    let positions = (0..CONTEXT).flat_map(|position| (0..width / 2).map(move |pair| (position, pair)));
    #[expect(clippy::cast_possible_truncation, reason = "the model computes in f32")]
    positions.map(|(position, pair)| angle(position, pair)).map(|a| (a.cos() as f32, a.sin() as f32)).collect()
}

fn size<F: Read + Seek>(gguf: &Gguf<F>, key: &str) -> Result<usize, GgufError> {
    match gguf.unsigned(key)? {
        size @ 1..=MOST => usize::try_from(size).map_err(|_| GgufError::Missing(key.to_owned())),
        _ => Err(GgufError::Missing(key.to_owned())),
    }
}

fn vector<F: Read + Seek>(gguf: &mut Gguf<F>, name: &str, width: usize) -> Result<Vec<f32>, GgufError> {
    let tensor = gguf.tensor(name, width, 1)?;
    let mut vector = Vec::new();
    gguf.numbers(tensor, |numbers| vector.extend_from_slice(numbers))?;
    Ok(vector)
}

fn matrix<F: Read + Seek>(gguf: &mut Gguf<F>, name: &str, width: usize, rows: usize) -> Result<Quantized, GgufError> {
    let tensor = gguf.tensor(name, width, rows)?;
    let mut matrix = Quantized::new(width);
    matrix.reserve(rows);
    gguf.numbers(tensor, |numbers| matrix.extend(numbers))?;
    Ok(matrix)
}
