//! What a run cost, for people.

use super::output::table;
use super::progress::thousands;
use crate::pipeline::ledger::{Estimated, Spend};

/// What a run cost, in a line. Numbers that hold estimates are rough ones, and said to be.
pub(super) fn spend(usage: &Spend) -> String {
    let Spend { estimated, cost, possibly_billed, .. } = usage;
    let mut text = format!(
        "{} calls, {} prompt tokens ({}), {} completion tokens{}",
        thousands(usage.calls),
        about(usage.prompt_tokens, estimated.prompt_tokens),
        cache(usage),
        about(usage.completion_tokens, estimated.completion_tokens),
        part(usage.reasoning_tokens, " (", " of reasoning)"),
    );
    if let Some(cost) = cost {
        text += &format!(", cost {cost:.4}");
        text += &usage.currency.as_ref().map(|currency| format!(" {currency}")).unwrap_or_default();
    }
    if *possibly_billed > 0 {
        text += &format!("; {} more may have been billed without a reply", thousands(*possibly_billed));
    }
    text + &remark(*estimated)
}

fn about(all: u64, estimated: u64) -> String {
    if estimated > 0 { format!("about {}", thousands(all)) } else { thousands(all) }
}

fn cache(usage: &Spend) -> String {
    let read = match usage.cached_prompt_tokens {
        Some(cached) => format!("{} cached", thousands(cached)),
        None => "cached ones are not reported".to_owned(),
    };
    read + &part(usage.cache_write_tokens, ", ", " written to a cache")
}

fn part(tokens: u64, before: &str, after: &str) -> String {
    if tokens > 0 { format!("{before}{}{after}", thousands(tokens)) } else { String::new() }
}

/// What is no count of the endpoint, and why.
fn remark(estimated: Estimated) -> String {
    let Estimated { prompt_tokens, completion_tokens, impossible_counts } = estimated;
    let mut text = String::new();
    if prompt_tokens > 0 || completion_tokens > 0 {
        text += &format!(
            "; {} prompt and {} completion tokens are estimated from the texts, since the endpoint did not count them",
            thousands(prompt_tokens),
            thousands(completion_tokens),
        );
    }
    if impossible_counts > 0 {
        text += &format!("; {} counts of the endpoint cannot be true and were set aside", thousands(impossible_counts));
    }
    text
}

/// Tokens by role and kind, and what each role cost where there are prices.
pub(super) fn by_role(usage: &Spend) -> String {
    let header = ["", "calls", "prompt", "cached", "written", "completion", "reasoning", "cost"].map(str::to_owned);
    let rows = usage.by_role.iter().map(|(role, spent)| {
        let cached = spent.cached_prompt_tokens.map_or_else(|| "not reported".to_owned(), thousands);
        vec![
            role.clone(),
            thousands(spent.calls),
            thousands(spent.prompt_tokens),
            cached,
            thousands(spent.cache_write_tokens),
            thousands(spent.completion_tokens),
            thousands(spent.reasoning_tokens),
            spent.cost.map_or_else(|| "no price".to_owned(), |cost| format!("{cost:.4}")),
        ]
    });
    let rows: Vec<Vec<String>> = [header.to_vec()].into_iter().chain(rows).collect();
    table(&rows).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_reads_as_a_count_and_what_was_not_as_an_estimate() {
        let counted = Spend {
            calls: 438,
            prompt_tokens: 277_237,
            cached_prompt_tokens: Some(19_712),
            completion_tokens: 18_687,
            ..Spend::default()
        };
        assert_eq!(spend(&counted), "438 calls, 277,237 prompt tokens (19,712 cached), 18,687 completion tokens");
        let all = Spend {
            cache_write_tokens: 1_000,
            reasoning_tokens: 12_000,
            cost: Some(0.5),
            currency: Some("USD".to_owned()),
            ..counted.clone()
        };
        assert_eq!(
            spend(&all),
            "438 calls, 277,237 prompt tokens (19,712 cached, 1,000 written to a cache), 18,687 completion tokens (12,000 of reasoning), cost 0.5000 USD"
        );
        let estimated = Estimated { prompt_tokens: 277_237, completion_tokens: 8_000, impossible_counts: 2 };
        let untold = Spend { cached_prompt_tokens: None, estimated, ..counted };
        assert_eq!(
            spend(&untold),
            "438 calls, about 277,237 prompt tokens (cached ones are not reported), about 18,687 completion tokens; 277,237 prompt and 8,000 completion tokens are estimated from the texts, since the endpoint did not count them; 2 counts of the endpoint cannot be true and were set aside"
        );
    }
}
