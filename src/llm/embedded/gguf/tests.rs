//! Files that lie, held against a model small enough to break everywhere.

use std::io::Cursor;

use super::super::engine::LoadedModel;
use super::super::model::Memory;
use super::*;

const F32: u32 = 0;
const F16: u32 = 1;
const Q4_1: u32 = 3;
const Q8_0: u32 = 8;

/// Numbers in a row of the smallest model there can be: two heads of sixteen.
const WIDTH: u64 = 32;

/// A GGUF file in the making.
#[derive(Default)]
struct File {
    values: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: Vec<u8>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

impl File {
    fn value(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.values.push([&text(key), &kind.to_le_bytes()[..], value].concat());
    }

    fn texts(&mut self, key: &str, texts: &[&str]) {
        let items: Vec<u8> = texts.iter().flat_map(|item| text(item)).collect();
        self.value(key, 9, &[&8_u32.to_le_bytes(), &(texts.len() as u64).to_le_bytes()[..], &items].concat());
    }

    fn tensor(&mut self, name: &str, shape: &[u64], format: u32, data: &[u8]) {
        let sizes: Vec<u8> = shape.iter().flat_map(|size| size.to_le_bytes()).collect();
        let dimensions = u32::try_from(shape.len()).unwrap();
        let start = (self.data.len() as u64).to_le_bytes();
        let info = [&text(name), &dimensions.to_le_bytes()[..], &sizes, &format.to_le_bytes(), &start].concat();
        self.tensors.push(info);
        self.data.extend(data);
        self.data.resize(self.data.len().next_multiple_of(32), 0);
    }

    /// A tensor of zeros in blocks of as many bytes as `format` has.
    fn zeros(&mut self, name: &str, rows: u64, format: u32) {
        let bytes = if format == Q4_1 { 20 } else { 34 } * rows;
        self.tensor(name, &[WIDTH, rows], format, &vec![0; usize::try_from(bytes).unwrap()]);
    }

    fn bytes(&self) -> Vec<u8> {
        let counts = [self.tensors.len() as u64, self.values.len() as u64].map(u64::to_le_bytes).concat();
        let head = [b"GGUF\x03\0\0\0", &counts[..], &self.values.concat(), &self.tensors.concat()].concat();
        [head.clone(), vec![0; head.len().next_multiple_of(32) - head.len()], self.data.clone()].concat()
    }
}

/// A model with everything that SmolLM2 has, of one layer.
fn tiny() -> File {
    let mut file = File::default();
    file.value("general.name", 8, &text("tiny"));
    file.value("tokenizer.ggml.add_bos_token", 7, &[0]);
    let sizes = [("embedding_length", 32), ("feed_forward_length", 32), ("attention.head_count", 2)];
    for (key, size) in sizes.into_iter().chain([("attention.head_count_kv", 1), ("block_count", 1_u32)]) {
        file.value(&format!("llama.{key}"), 4, &size.to_le_bytes());
    }
    file.value("llama.attention.layer_norm_rms_epsilon", 6, &1e-5_f32.to_le_bytes());
    file.value("llama.rope.freq_base", 6, &1e4_f32.to_le_bytes());
    file.value("tokenizer.ggml.token_type", 9, &[&5_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &[0; 8]].concat());
    file.texts("tokenizer.ggml.tokens", &["<|endoftext|>", "<|im_start|>", "<|im_end|>", "Ċ", "a", "b", "ab"]);
    file.texts("tokenizer.ggml.merges", &["a b"]);
    file.zeros("token_embd.weight", 7, Q8_0);
    for norm in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        file.tensor(&format!("{norm}.weight"), &[WIDTH], F32, &1_f32.to_le_bytes().repeat(32));
    }
    for (part, rows) in [("attn_q", 32), ("attn_k", 16), ("attn_v", 16), ("attn_output", 32)] {
        file.zeros(&format!("blk.0.{part}.weight"), rows, Q4_1);
    }
    for part in ["ffn_gate", "ffn_up", "ffn_down"] {
        file.zeros(&format!("blk.0.{part}.weight"), 32, Q4_1);
    }
    file
}

fn load(bytes: &[u8]) -> Result<LoadedModel, GgufError> {
    LoadedModel::read(Cursor::new(bytes))
}

#[test]
fn a_small_model_can_be_loaded_and_asked() {
    let mind = load(&tiny().bytes()).unwrap();
    assert_eq!(mind.vocabulary.encode("ab\nba"), [6, 3, 5, 4]);
    let state = mind.llama.feed(&[1, 6], &mut Memory::default()).unwrap();
    assert_eq!(mind.llama.logits(&state).len(), 7);
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let whole = tiny().bytes();
    // The last tensor's numbers end before the padding does.
    for length in 0..whole.len() - 32 {
        assert!(load(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
    }
}

#[test]
fn no_flipped_bit_is_a_panic_or_fills_the_memory() {
    let whole = tiny().bytes();
    let head = whole.len() - tiny().data.len();
    let mut refused = 0;
    for bit in 0..head * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(load(&damaged).is_err());
    }
    assert!(refused > head * 4, "{refused} of {}", head * 8);
}

#[test]
fn what_is_wrong_is_said() {
    let said = |change: &dyn Fn(&mut File)| {
        let mut file = tiny();
        change(&mut file);
        load(&file.bytes()).unwrap_err().to_string()
    };
    let without = |key: &'static str| move |file: &mut File| file.values.retain(|value| !value.starts_with(&text(key)));
    assert_eq!(said(&without("llama.block_count")), "it has no usable llama.block_count");
    assert_eq!(said(&without("tokenizer.ggml.tokens")), "it has no usable tokenizer.ggml.tokens");
    assert_eq!(
        said(&|file| file.texts("tokenizer.ggml.merges", &["a c"])),
        "it has no usable tokens for the merge \"a c\""
    );
    assert_eq!(said(&|file| file.texts("tokenizer.ggml.tokens", &["a"])), "it has no usable token <|endoftext|>");
    let zero = |file: &mut File| file.value("llama.attention.head_count", 4, &[0; 4]);
    assert_eq!(said(&zero), "it has no usable llama.attention.head_count");
    let wide = |file: &mut File| file.value("llama.attention.head_count", 4, &1000_u32.to_le_bytes());
    assert_eq!(said(&wide), "it has no usable layer sizes");
    let half = |file: &mut File| file.tensor("x", &[2], F16, &[0; 4]);
    assert!(said(&half).starts_with("it is damaged: a tensor of unknown type at byte "));
    let ragged = |file: &mut File| file.tensor("x", &[31, 2], Q8_0, &[0; 68]);
    assert!(said(&ragged).starts_with("it is damaged: a tensor's shape at byte "));
    let other = |file: &mut File| file.tensor("token_embd.weight", &[WIDTH, 6], Q8_0, &[0; 204]);
    assert_eq!(said(&other), "it has no usable token_embd.weight of 7 times 32 numbers");
    assert_eq!(load(b"GGUF\x01\0\0\0").unwrap_err().to_string(), "it is not GGUF of version 2 or 3");
    assert_eq!(load(b"PK\x03\x04 and more").unwrap_err().to_string(), "it is not GGUF of version 2 or 3");
}

/// Without this a file of a few megabytes could list its one large tensor a thousand times.
#[test]
fn tensors_may_not_share_their_bytes() {
    let mut file = tiny();
    file.tensor("one", &[1 << 14], F32, &vec![0; 1 << 16]);
    assert!(load(&file.bytes()).is_ok());
    let again = file.tensors.last().cloned().unwrap();
    file.tensors.push([&text("two"), &again[text("one").len()..]].concat());
    assert!(matches!(load(&file.bytes()), Err(GgufError::Short { .. })));
}

#[test]
fn numbers_come_out_as_ggml_defines_them() {
    let mut numbers = Vec::new();
    let scales = [0x00, 0x38, 0x00, 0xC0];
    let quants: Vec<u8> = (0..16).map(|low| low | (15 - low) << 4).collect();
    Format::Q4_1.decode(&[&scales[..], &quants].concat(), &mut numbers);
    let low = (0_u8..16).map(|quant| f32::from(quant) * 0.5 - 2.0);
    assert_eq!(numbers, low.clone().chain(low.rev()).collect::<Vec<_>>());
    numbers.clear();
    let quants: Vec<u8> = (-16_i8..16).map(i8::cast_unsigned).collect();
    Format::Q8_0.decode(&[&[0x00, 0xB8][..], &quants].concat(), &mut numbers);
    assert_eq!(numbers, (-16_i8..16).map(|quant| f32::from(quant) * -0.5).collect::<Vec<_>>());
}

#[test]
fn halves_are_exact_from_the_smallest_to_the_largest() {
    let cases = [(0x0001, 2_f32.powi(-24)), (0x03FF, 1023.0 * 2_f32.powi(-24)), (0x0400, 2_f32.powi(-14))];
    for (bits, value) in cases.into_iter().chain([(0x3C00, 1.0), (0x3555, 0.333_251_95), (0x7BFF, 65504.0), (0, 0.0)]) {
        let (bits, value): (u16, f32) = (bits, value);
        assert_eq!(half(bits.to_le_bytes()).to_bits(), value.to_bits());
        assert_eq!(half((bits | 0x8000).to_le_bytes()).to_bits(), (-value).to_bits());
    }
}
