//! What an object store said, in one line. In: the text of an error, as the layers above the store pass it on. Out: what was
//! asked, where, the answer, and what to do. Pure. Never passes on a body of XML, a key, a signature or a query string.

/// Characters of the store's own message that are kept.
const MESSAGE_CHARS: usize = 200;
/// How the store's client begins to tell of a request.
const REQUEST: &str = "Error performing ";
/// What the layers around it put in front; a reader learns nothing from it.
const LAYERS: [&str; 14] = [
    "Arrow error: ",
    "Parquet error: ",
    "External: ",
    "External error: ",
    "Kernel error: ",
    "Kernel: ",
    "Object store error: ",
    "Object Store error: ",
    "Error interacting with object store: ",
    "Failed to read delta log object: ",
    "Generic ",
    "Object at location ",
    "Request precondition failure for path ",
    "The operation lacked ",
];

/// The text with what a store answered cut to one clear line; a text about something else stays as it is.
#[must_use]
pub fn brief(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((before, request)) = line.split_once(REQUEST) else {
        // A body without its request is of no use to anybody.
        return match line.find("<?xml").or_else(|| line.find("<Error>")) {
            Some(body) => line[..body].trim_end_matches([':', ' ']).to_owned(),
            None => line,
        };
    };
    let said = LAYERS.iter().filter_map(|layer| before.find(layer)).min().unwrap_or(before.len());
    let before = before[..said].trim_end_matches([':', ' ']);
    let said = answer(request);
    if before.is_empty() { said } else { format!("{before}: {said}") }
}

/// `GET http://… in 3ms, after 5 retries - Server returned non-2xx status code: 403 Forbidden: <Error>…`.
fn answer(request: &str) -> String {
    let (request, said) = request.split_once(" - ").unwrap_or((request, ""));
    let mut words = request.split(' ');
    let (method, url) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let url = without_secrets(url);
    let Some((_, status)) = said.split_once("status code: ") else {
        let why = said.split('<').next().unwrap_or_default().trim_end_matches([':', ' ']);
        return format!("{method} {url} got no answer: {}; {}", cut(why), hint("", why));
    };
    let (status, body) = status.split_once(':').unwrap_or((status, ""));
    let (code, message) = (tag(body, "Code").unwrap_or_default(), tag(body, "Message").unwrap_or_default());
    let code_shown = if code.is_empty() { String::new() } else { format!(" ({code})") };
    let message = if message.is_empty() { String::new() } else { format!(": {}", cut(message.trim_end_matches('.'))) };
    format!("{method} {url} was answered {}{code_shown}{message}; {}", status.trim(), hint(code, status))
}

/// Address and path; what follows can be a signature.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
        Some((scheme, (host, path))) if host.contains('@') => {
            format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0.trim())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MESSAGE_CHARS {
        return text.to_owned();
    }
    text.chars().take(MESSAGE_CHARS).chain(['…']).collect()
}

fn hint(code: &str, status: &str) -> &'static str {
    match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurity" | "MissingSecurityHeader" => {
            "check aws_access_key_id and aws_secret_access_key (lake.options, AWS_* variables)"
        }
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => "renew aws_session_token",
        "NoSuchBucket" => "check the bucket in lake.uri, or make it",
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            "check aws_region and aws_endpoint (lake.options, AWS_* variables)"
        }
        "RequestTimeTooSkewed" => "set this machine's clock",
        "SlowDown" | "ServiceUnavailable" | "InternalError" => "the store is busy or ill; try again later",
        _ if status.starts_with("401") || status.starts_with("403") => {
            "check the keys (lake.options, AWS_* variables) and what they may do with this bucket"
        }
        _ if status.starts_with('5') => "the store is busy or ill; try again later",
        _ if status.starts_with(|first: char| first.is_ascii_digit()) => "check lake.uri and lake.options",
        _ => "check lake.uri and aws_endpoint, and that the store can be reached from here",
    }
}

#[cfg(test)]
mod tests {
    use super::brief;

    /// As S3 answers to a wrong key, and as it comes through the Delta library.
    const FORBIDDEN: &str = "the lake s3://bucket/lake does not answer while reading its table: Kernel error: Error \
        interacting with object store: The operation lacked the necessary privileges to complete for path \
        lake/usage/_delta_log: Error performing GET http://127.0.0.1:9000/bucket?list-type=2&prefix=lake%2Fusage&\
        X-Amz-Signature=5e1f in 8.31ms, after 2 retries, max_retries: 5, retry_timeout: 20s  - Server returned non-2xx \
        status code: 403 Forbidden: <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidAccessKeyId</Code>\
        <Message>The AWS Access Key Id you provided does not exist in our records.</Message>\
        <AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId><RequestId>17C3</RequestId><HostId>secret-host</HostId></Error>";

    fn check(text: &str, expected: &str) {
        assert_eq!(brief(text), expected);
        assert_eq!(brief(&brief(text)), expected, "what is brief stays as it is");
    }

    #[test]
    fn an_answer_becomes_one_line() {
        check(
            FORBIDDEN,
            "the lake s3://bucket/lake does not answer while reading its table: GET http://127.0.0.1:9000/bucket was \
             answered 403 Forbidden (InvalidAccessKeyId): The AWS Access Key Id you provided does not exist in our \
             records; check aws_access_key_id and aws_secret_access_key (lake.options, AWS_* variables)",
        );
        check(
            "Generic S3 error: Error performing HEAD https://id:key@s3.example.com/b/_delta_log/1.json in 3ms - Server \
             returned non-2xx status code: 403 Forbidden: ",
            "HEAD https://s3.example.com/b/_delta_log/1.json was answered 403 Forbidden; check the keys (lake.options, \
             AWS_* variables) and what they may do with this bucket",
        );
        check(
            "Generic S3 error: Error performing PUT http://127.0.0.1:9/b/x in 20s, after 5 retries, max_retries: 5, \
             retry_timeout: 20s  - HTTP error: error sending request",
            "PUT http://127.0.0.1:9/b/x got no answer: HTTP error: error sending request; check lake.uri and \
             aws_endpoint, and that the store can be reached from here",
        );
    }

    #[test]
    fn nothing_secret_and_nothing_endless_is_passed_on() {
        let long = FORBIDDEN.replace("in our records.", &"x".repeat(5_000));
        for text in [FORBIDDEN, &long, "it failed: <?xml version=\"1.0\"?><Error><AWSAccessKeyId>AKIAEXAMPLE</Error>"] {
            let found = brief(text);
            assert!(found.len() < 600, "{found}");
            for secret in ["AKIAEXAMPLE", "5e1f", "secret-host", "<"] {
                assert!(!found.contains(secret), "{found}");
            }
        }
    }

    #[test]
    fn other_texts_stay() {
        check("lake.uri 'gs://x' cannot be used", "lake.uri 'gs://x' cannot be used");
        check("a\n  b", "a b");
    }
}
