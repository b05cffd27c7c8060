//! English names of languages: a prompt says "in Portuguese (Brazil)" rather than "in pt-BR".

/// Primary subtags of BCP 47 and their English names, as the IANA language subtag registry has them.
const LANGUAGES: &[(&str, &str)] = &[
    ("af", "Afrikaans"),
    ("am", "Amharic"),
    ("ar", "Arabic"),
    ("az", "Azerbaijani"),
    ("be", "Belarusian"),
    ("bg", "Bulgarian"),
    ("bn", "Bengali"),
    ("bs", "Bosnian"),
    ("ca", "Catalan"),
    ("cs", "Czech"),
    ("cy", "Welsh"),
    ("da", "Danish"),
    ("de", "German"),
    ("el", "Greek"),
    ("en", "English"),
    ("es", "Spanish"),
    ("et", "Estonian"),
    ("eu", "Basque"),
    ("fa", "Persian"),
    ("fi", "Finnish"),
    ("fil", "Filipino"),
    ("fr", "French"),
    ("ga", "Irish"),
    ("gl", "Galician"),
    ("gu", "Gujarati"),
    ("ha", "Hausa"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("hr", "Croatian"),
    ("hu", "Hungarian"),
    ("hy", "Armenian"),
    ("id", "Indonesian"),
    ("ig", "Igbo"),
    ("is", "Icelandic"),
    ("it", "Italian"),
    ("ja", "Japanese"),
    ("ka", "Georgian"),
    ("kk", "Kazakh"),
    ("km", "Khmer"),
    ("kn", "Kannada"),
    ("ko", "Korean"),
    ("lo", "Lao"),
    ("lt", "Lithuanian"),
    ("lv", "Latvian"),
    ("mk", "Macedonian"),
    ("ml", "Malayalam"),
    ("mn", "Mongolian"),
    ("mr", "Marathi"),
    ("ms", "Malay"),
    ("mt", "Maltese"),
    ("my", "Burmese"),
    ("nb", "Norwegian"),
    ("ne", "Nepali"),
    ("nl", "Dutch"),
    ("nn", "Norwegian Nynorsk"),
    ("no", "Norwegian"),
    ("pa", "Punjabi"),
    ("pl", "Polish"),
    ("ps", "Pashto"),
    ("pt", "Portuguese"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("si", "Sinhala"),
    ("sk", "Slovak"),
    ("sl", "Slovenian"),
    ("so", "Somali"),
    ("sq", "Albanian"),
    ("sr", "Serbian"),
    ("sv", "Swedish"),
    ("sw", "Swahili"),
    ("ta", "Tamil"),
    ("te", "Telugu"),
    ("th", "Thai"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("ur", "Urdu"),
    ("uz", "Uzbek"),
    ("vi", "Vietnamese"),
    ("yo", "Yoruba"),
    ("zh", "Chinese"),
    ("zu", "Zulu"),
];

/// Subtags that change how a text is written.
const VARIANTS: &[(&str, &str)] = &[
    ("at", "Austria"),
    ("au", "Australia"),
    ("br", "Brazil"),
    ("ca", "Canada"),
    ("ch", "Switzerland"),
    ("cn", "China"),
    ("gb", "United Kingdom"),
    ("hans", "simplified characters"),
    ("hant", "traditional characters"),
    ("hk", "Hong Kong"),
    ("ie", "Ireland"),
    ("in", "India"),
    ("mx", "Mexico"),
    ("nz", "New Zealand"),
    ("pt", "Portugal"),
    ("tw", "Taiwan"),
    ("us", "United States"),
    ("za", "South Africa"),
];

/// The English name of a BCP 47 tag; the tag itself when it is not known, which models mostly understand.
pub(crate) fn name(tag: &str) -> String {
    let lower = tag.trim().to_lowercase().replace('_', "-");
    let mut subtags = lower.split('-');
    let look_up =
        |table: &[(&str, &'static str)], key: &str| table.iter().find(|(k, _)| *k == key).map(|(_, name)| *name);
    let Some(language) = subtags.next().and_then(|primary| look_up(LANGUAGES, primary)) else {
        return tag.trim().to_owned();
    };
    let variants: Vec<&str> = subtags.filter_map(|subtag| look_up(VARIANTS, subtag)).collect();
    if variants.is_empty() { language.to_owned() } else { format!("{language} ({})", variants.join(", ")) }
}

/// The tag of a language that is called by its English name, such as `English` or `portuguese`.
pub(crate) fn tag(name: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name.trim())).map(|(tag, _)| *tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_names() {
        for (tag, name_of_it) in [
            ("en", "English"),
            ("pt-BR", "Portuguese (Brazil)"),
            ("zh-Hant-TW", "Chinese (traditional characters, Taiwan)"),
            ("de_AT", "German (Austria)"),
            ("DE", "German"),
            ("tlh", "tlh"),
            ("en-x-pirate", "English"),
        ] {
            assert_eq!(name(tag), name_of_it);
        }
        assert_eq!(["English", "portuguese", "Klingon", "en"].map(tag), [Some("en"), Some("pt"), None, None]);
    }
}
