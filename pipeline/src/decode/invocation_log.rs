//! Bedrock's model invocation log (`CloudWatch` or S3): counts and identities; the bodies are looked into for `usage` only.

use spendstream_schemas::dimension::Text;

use super::body::{self, Hint, Reading, bedrock_counts};
use super::call::Call;
use super::field::{count_of, loose_text};
use super::gateways::label;
use super::json::Node;
use super::parts::Parts;
use super::reject::Fault;
use super::stream::{self, Role};
use super::time::{Unit, micros};

/// Reads an invocation log record; `None` when it is none.
///
/// # Errors
/// When a count or the timestamp is not one.
pub(super) fn read<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    if node.text_of("schemaType") != Some("ModelInvocationLog") {
        return Ok(None);
    }
    let mut call = Call::of_kind("bedrock.log");
    let model = node.text_of("modelId");
    let texts = &mut call.row.texts;
    texts.set_if_some(Text::EventId, node.text_of("requestId"));
    texts.set_if_some(Text::ResponseId, node.text_of("requestId"));
    texts.set(Text::ProviderSent, "aws.bedrock");
    texts.set_if_some(Text::Model, model);
    texts.set_if_some(Text::BillingAccount, node.text_of("accountId"));
    texts.set_if_some(Text::UserId, node.path("identity.arn").and_then(Node::text));
    let arn_region = model.filter(|model| model.starts_with("arn:")).and_then(|arn| arn.split(':').nth(3));
    // The region that was called is billed, also where an inference profile answers from another one.
    let region = node.text_of("region").or(arn_region).or_else(|| node.text_of("inferenceRegion"));
    texts.set_if_some(Text::Region, region);
    if node.text_of("errorCode").is_some() {
        texts.set(Text::Status, "error");
        texts.set_if_some(Text::ErrorType, node.text_of("errorCode"));
    }
    for (key, value) in node.get("requestMetadata").map(Node::members).unwrap_or_default() {
        if let Some(value) = loose_text(value) {
            label(&mut call, key, value);
        }
    }
    if let Some(time) = node.get("timestamp") {
        call.time_micros = Some(micros(time, "timestamp", Unit::Any)?);
    }
    let hint = Hint { model, operation: node.text_of("operation"), lenient: false };
    let body = node.path("output.outputBodyJson");
    if let Some(answer) = body.and_then(streamed) {
        let mut call: Call<'_> = call.into_owned();
        call.take(counts(node, Some(&answer), hint)?);
        return Ok(Some(call.into_owned()));
    }
    call.take(counts(node, body, hint)?);
    Ok(Some(call))
}

/// The whole answer of `InvokeModelWithResponseStream`, whose chunks the log has in a list.
fn streamed<'a>(body: &Node<'a>) -> Option<Node<'a>> {
    let chunks: Vec<Option<&Node<'a>>> = body.items().iter().map(Some).collect();
    let whole = stream::roles(&chunks).into_iter().zip(body.items()).find_map(|(role, chunk)| match role {
        Role::Joined(whole) => Some(*whole),
        Role::Last => Some(chunk.clone()),
        Role::Whole | Role::Chunk => None,
    });
    whole.or_else(|| {
        body.items().iter().rev().find(|chunk| chunk.has_object("amazon-bedrock-invocationMetrics")).cloned()
    })
}

/// The body's own usage says more (lifetimes of cache writes); the record's counts say enough, and hold where the body has less.
fn counts<'n>(node: &'n Node<'_>, body: Option<&'n Node<'_>>, hint: Hint<'n>) -> Result<Reading<'n>, Fault> {
    let of = |side: &str, key: &str| match node.get(side) {
        Some(part) => count_of(part, key),
        None => Ok(None),
    };
    let input = of("input", "inputTokenCount")?;
    let output = of("output", "outputTokenCount")?;
    let (read, write) = (of("input", "cacheReadInputTokenCount")?, of("input", "cacheWriteInputTokenCount")?);
    if let Some(body) = body.filter(|body| body.is_object())
        && let Some(mut reading) = body::read(body, hint)?
        && !reading.parts.says_nothing()
        && !loses(&reading.parts, [input, read, write, output])
    {
        reading.response_id = None;
        reading.provider = None;
        reading.time_micros = None;
        return Ok(reading);
    }
    Ok(bedrock_counts([input, read, write, output, None], None, hint))
}

/// Whether a body gave less than the record beside it says: input, cache reads, cache writes, output.
fn loses(parts: &Parts<'_>, record: [Option<i64>; 4]) -> bool {
    let writes = parts.cache_write.saturating_add(parts.cache_write_1h);
    let given = [parts.input.unwrap_or(0), parts.cache_read, writes, parts.output.unwrap_or(0)];
    given.into_iter().zip(record).any(|(given, told)| told.is_some_and(|told| told > given))
}
