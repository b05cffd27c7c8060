//! The page around the data: markup, style and scripts of our own, which alone may run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("../html/page.html");
const STYLE: &str = include_str!("../html/style.css");
const WORKER: &str = include_str!("../html/worker.js");
/// In the order in which they are run; all share one scope.
const SCRIPTS: [&str; 9] = [
    include_str!("../html/dom.js"),
    include_str!("../html/store.js"),
    include_str!("../html/filters.js"),
    include_str!("../html/charts.js"),
    include_str!("../html/overview.js"),
    include_str!("../html/review.js"),
    include_str!("../html/conversations.js"),
    include_str!("../html/compare.js"),
    include_str!("../html/app.js"),
];

/// The page up to the place where the chunks stand. What follows them is [`END`]. `data` is JSON, `blocks` are elements.
pub(super) fn head(title: &str, data: &str, blocks: &str) -> String {
    let script = format!("\"use strict\";\n(() => {{\n{}}})();\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; worker-src blob:; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(STYLE)
    );
    // One pass over the markup: what is put in is never searched for further places.
    let mut page = String::new();
    for piece in PAGE.split("{{") {
        let (name, rest) = piece.split_once("}}").unwrap_or(("", piece));
        page += match name {
            "policy" => &policy,
            "title" => title,
            "style" => STYLE,
            "data" => data,
            "worker" => WORKER,
            "blocks" => blocks,
            "script" => &script,
            _ => "",
        };
        page += rest;
    }
    page
}

/// What ends the page.
pub(super) const END: &str = "</body>\n</html>\n";

/// A text as markup shows it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON in which nothing can end or open an element.
pub(super) fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_stays_what_it_is() {
        let title = escaped("a</title><b> & \"c\" {{script}}");
        let data = inert("{\"a\": \"</script>{{title}}\"}");
        let page = head(&title, &data, "");
        assert!(page.contains("<title>a&lt;/title&gt;&lt;b&gt; &amp; &quot;c&quot; {{script}}</title>"));
        assert!(page.contains("{\"a\": \"\\u003c/script>{{title}}\"}"));
        let value: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!(value["a"], "</script>{{title}}");
    }

    #[test]
    fn no_script_of_ours_can_end_its_element_or_write_markup() {
        for script in SCRIPTS.into_iter().chain([WORKER]) {
            for banned in
                ["</script", "<!--", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!script.contains(banned), "{banned}");
            }
            assert!(!script.contains("http:") || script.contains("http://www.w3.org/2000/svg"));
        }
        assert!(!STYLE.contains("url("));
    }
}
