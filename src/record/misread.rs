/// Why a line is none of the JSON objects that are read, for people: what the parser says, or what the line seems to be instead.
pub(crate) fn misread(line: &[u8], said: &str) -> String {
    let line = line.trim_ascii();
    if matches!(line.first(), Some(b'{' | b'[' | b'"') | None) {
        return said.to_owned();
    }
    // A header and its rows, in each of the dialects.
    let is_table = std::str::from_utf8(line).is_ok() && line.iter().any(|byte| matches!(byte, b',' | b';' | b'\t'));
    let what = if is_table { "it looks like CSV" } else { "it is no JSON" };
    format!("{what}; here one JSON object a line is read, as in {{\"id\": \"1\", …}} (JSON Lines)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_keeps_the_parsers_words_and_a_table_is_called_one() {
        for (line, begins) in [
            ("{\"id\": 1,", "said"),
            ("[1, 2]", "said"),
            ("id,text", "it looks like CSV"),
            ("1;2;3", "it looks like CSV"),
            ("  a\tb", "it looks like CSV"),
            ("plain words", "it is no JSON"),
            ("", "said"),
        ] {
            assert!(misread(line.as_bytes(), "said").starts_with(begins), "{line}");
        }
        assert!(misread(b"\xff,\xfe", "said").starts_with("it is no JSON"));
    }
}
