//! Escaping and shortening: any text in, a text that one format cannot misread out.

/// For HTML, inside elements and quoted attributes.
#[must_use]
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// For Slack's mrkdwn: no mention, link or entity can be written by a title. Its asterisks and underscores have no escape;
/// that is why texts of others are sent as `plain_text`, and only the notification's preview is mrkdwn.
#[must_use]
pub fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For a header, an SMS or one line of a log: control characters, line ends among them, become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    spaced.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Inside a JSON string, without its quotation marks.
#[must_use]
pub fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// At most `limit` characters; a text that was cut says so by its last one.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(limit.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::{html, json, one_line, shorten, slack};

    #[test]
    fn each_format_is_escaped() {
        let text = "<b>&\"'</b>";
        assert_eq!(html(text), "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
        assert_eq!(slack("<!channel> & <http://x|y>"), "&lt;!channel&gt; &amp; &lt;http://x|y&gt;");
        assert_eq!(one_line("a\r\nBcc: b@c\u{2028}\u{0}d  e"), "a Bcc: b@c d e");
        assert_eq!(json("a\"b\\\n"), "a\\\"b\\\\\\n");
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
    }
}
