//! Tokens of replies, by kind.

use serde::{Deserialize, Serialize};

/// Tokens as the endpoint counted them, or as they were estimated where it did not; of one reply, or of several together.
///
/// It is kept with every reply. The fields behind the first three came later: they are left out where they are 0, so that a
/// reply without them is kept as it always was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// Those of them that came from the endpoint's prefix cache.
    pub cached_prompt_tokens: u64,
    /// Tokens of the reply, reasoning included.
    pub completion_tokens: u64,
    /// Prompt tokens that were written to the endpoint's cache: other ones than those that came from it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
    /// Completion tokens that nobody saw.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// Prompt tokens of replies that say nothing of a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_untold_tokens: u64,
    /// Prompt tokens that are an estimate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub estimated_prompt_tokens: u64,
    /// Completion tokens that are an estimate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub estimated_completion_tokens: u64,
    /// Counts of the endpoint that cannot be true: below 0, no number, or far beyond what was sent or asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub impossible_counts: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl Usage {
    /// Cached prompt tokens; `None` where no reply said a word of a cache.
    pub fn told_cached(&self) -> Option<u64> {
        (self.cache_untold_tokens == 0 || self.cache_untold_tokens < self.prompt_tokens)
            .then_some(self.cached_prompt_tokens)
    }

    /// Whether some of it is an estimate.
    pub fn is_estimated(&self) -> bool {
        self.estimated_prompt_tokens > 0 || self.estimated_completion_tokens > 0
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let Self {
            prompt_tokens,
            cached_prompt_tokens,
            completion_tokens,
            cache_write_tokens,
            reasoning_tokens,
            cache_untold_tokens,
            estimated_prompt_tokens,
            estimated_completion_tokens,
            impossible_counts,
        } = other;
        for (sum, more) in [
            (&mut self.prompt_tokens, prompt_tokens),
            (&mut self.cached_prompt_tokens, cached_prompt_tokens),
            (&mut self.completion_tokens, completion_tokens),
            (&mut self.cache_write_tokens, cache_write_tokens),
            (&mut self.reasoning_tokens, reasoning_tokens),
            (&mut self.cache_untold_tokens, cache_untold_tokens),
            (&mut self.estimated_prompt_tokens, estimated_prompt_tokens),
            (&mut self.estimated_completion_tokens, estimated_completion_tokens),
            (&mut self.impossible_counts, impossible_counts),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_that_an_earlier_version_kept_is_read_and_one_without_news_is_kept_as_before() {
        let old = json!({"prompt_tokens": 9, "cached_prompt_tokens": 3, "completion_tokens": 4});
        let usage: Usage = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(serde_json::to_value(usage).unwrap(), old);
        assert_eq!((usage.told_cached(), usage.is_estimated()), (Some(3), false));
    }

    #[test]
    fn nothing_told_of_a_cache_is_not_nothing_cached() {
        let untold = Usage { prompt_tokens: 10, cache_untold_tokens: 10, ..Usage::default() };
        let told = Usage { prompt_tokens: 10, ..Usage::default() };
        let mut both = untold;
        both += told;
        assert_eq!(
            [Usage::default(), untold, told, both].map(|usage| usage.told_cached()),
            [Some(0), None, Some(0), Some(0)]
        );
    }
}
