//! How many tokens a reply with situations may have, where the configuration does not say.
//!
//! What a situation takes follows from the people in it: each has a description, a stance, a goal and ties to others, and what a
//! language takes follows from how finely tokenizers cut it. The figures are for wordy models, half as much again as the replies
//! of larger ones were measured to have: a limit that is too high costs nothing but what is reserved, one too low costs the reply.

/// Tokens of what a situation has once: place, topic, first line, and the JSON around it.
const ONCE: u32 = 300;
/// Tokens for each person in it, ties to others included.
const PER_PERSON: u32 = 400;
/// The same where the model invents who they are.
const INVENTED: u32 = 80;
/// The least a call may have.
const LEAST: u32 = 1000;

/// Languages by how many tokens their texts take for each hundred of the same text in English, as vocabularies of 100,000 to
/// 200,000 tokens cut them; any other takes 150.
const SHARES: [(u32, &[&str]); 3] = [
    (100, &["en"]),
    (200, &["ru", "uk", "be", "bg", "sr", "mk", "kk", "mn", "el", "ar", "fa", "he", "ur", "ps"]),
    (
        300,
        &["am", "bn", "gu", "hi", "hy", "ka", "km", "kn", "lo", "ml", "mr", "my", "ne", "pa", "si", "ta", "te", "th"],
    ),
];

/// The room for a reply with a situation for each of the groups of these `sizes`, in a language given by its BCP 47 tag.
pub(crate) fn room(sizes: impl Iterator<Item = usize>, invented: bool, language: &str) -> u32 {
    let each = if invented { PER_PERSON + INVENTED } else { PER_PERSON };
    let people = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).saturating_mul(each);
    let tokens = sizes.fold(0_u32, |sum, size| sum.saturating_add(people(size)).saturating_add(ONCE));
    (tokens.saturating_mul(share(language)) / 100).max(LEAST)
}

fn share(language: &str) -> u32 {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    SHARES.iter().find(|(_, tags)| tags.contains(&primary.as_str())).map_or(150, |(share, _)| *share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_groups_more_situations_and_finely_cut_languages_get_more_room() {
        let of = |sizes: &[usize], language| room(sizes.iter().copied(), false, language);
        assert_eq!([of(&[2], "en"), of(&[3], "en"), of(&[5], "en-GB"), of(&[3, 3], "en")], [1100, 1500, 2300, 3000]);
        assert_eq!([of(&[3], "de"), of(&[3], "zh-Hans"), of(&[3], "ru"), of(&[3], "TH")], [2250, 2250, 3000, 4500]);
        assert_eq!([of(&[], "en"), room([3].into_iter(), true, "en")], [1000, 1740]);
        assert_eq!(of(&[usize::MAX], "th"), u32::MAX / 100);
    }
}
