//! What is kept of a payload, and what is not.

use super::*;

fn check(text: &str, expected: &str) {
    assert_eq!(String::from_utf8(json(&Node::parse(text).unwrap())).unwrap(), expected);
}

#[test]
fn only_names_and_figures_stay() {
    check(
        r#"{"id":"e1","model":"m","messages":[{"role":"user","content":"SECRET"}],"usage":{"input_tokens":-1,"note":"x"},"prompt":"SECRET"}"#,
        r#"{"id":"e1","model":"m","usage":{"input_tokens":-1}}"#,
    );
    check(
        r#"{"response":"SECRET","output":"SECRET","data":{"input":"SECRET","output":3}}"#,
        r#"{"data":{"output":3}}"#,
    );
    check(
        r#"{"id":"sk-SECRET-ab12CD34ef56GH78","tags":{"any":"label","k":1}}"#,
        r#"{"id":"sha256:30a57cb615093485","tags":{"any":"label","k":1}}"#,
    );
    check(
        r#"{"output":[{"type":"web_search_call","query":"SECRET"},"SECRET"]}"#,
        r#"{"output":[{"type":"web_search_call"}]}"#,
    );
    check(r#""SECRET-sk-ab12CD34ef56GH78""#, r#""[removed]""#);
}

#[test]
fn names_inside_content_are_content() {
    check(
        r#"{"output":[{"type":"code_interpreter_call","id":"ci_1","code":"print()","user":"U","container_id":"c"}],"input":[{"source":"S","type":"two words","tokens":3}]}"#,
        r#"{"output":[{"type":"code_interpreter_call","id":"ci_1","container_id":"c"}],"input":[{"tokens":3}]}"#,
    );
    check(
        r#"{"data":{"message":{"code":"main()","user":"what is this","model":"m"}},"code":"x"}"#,
        r#"{"data":{"message":{"model":"m"}}}"#,
    );
    check(
        r#"{"transaction_id":"t","code":"llm","properties":{"code":"x","input":"12"}}"#,
        r#"{"transaction_id":"t","code":"llm","properties":{"input":"12"}}"#,
    );
    check(r#"{"id":["a","b"],"model":{"name":"n"}}"#, "{}");
}

#[test]
fn labels_are_one_level_deep_and_hold_no_keys() {
    check(
        r#"{"tags":{"a":"x","b":["text"],"c":{"d":"text"},"e":1,"sk-ab12CD34ef56GH78":"v","f":"Bearer ab12CD34ef56GH78","api_key":"9f86d081884c7d659a2f","user_key":"ann"},"request_tags":["a",["text"],"sk-ab12CD34ef56GH78"]}"#,
        r#"{"tags":{"a":"x","e":1,"[removed]":"v","f":"[removed]","api_key":"[removed]","user_key":"ann"},"request_tags":["a","[removed]"]}"#,
    );
}

#[test]
fn figures_may_be_texts() {
    check(
        r#"{"usage":{"input_tokens":"1200","output_tokens":"twelve"},"error_type":"the prompt was bad"}"#,
        r#"{"usage":{"input_tokens":"1200"}}"#,
    );
}

#[test]
fn of_an_unknown_shape_words_and_numbers_stay() {
    let node = Node::parse(
        r#"{"who":"team-a","n":{"tin":5,"note":"two words"},"question":"why","answer":{"a":"b","n":2},"list":["x"],"k":"sk-ab12CD34ef56GH78","hint":"12 3"}"#,
    );
    let kept = String::from_utf8(kept(&node.unwrap(), Reason::UnknownShape, None).json).unwrap();
    assert_eq!(kept, r#"{"who":"team-a","n":{"tin":5},"answer":{"n":2},"k":"[removed]"}"#);
}

#[test]
fn a_name_that_is_too_long_is_left_out_and_said_to_be() {
    let long = "x".repeat(257);
    let text =
        format!(r#"{{"team":"{long}","user":"u","prompt":"{long}","tags":{{"a":"{long}","two words":"{long}"}}}}"#);
    let kept = kept(&Node::parse(&text).unwrap(), Reason::TextTooLong, None);
    assert_eq!(String::from_utf8(kept.json).unwrap(), r#"{"user":"u","tags":{}}"#);
    assert_eq!(kept.left_out, ["team", "a", "a label"]);
}

#[test]
fn what_a_mapping_reads_stays() {
    let fields = [
        ("id", "ev.ident"),
        ("team", "ev.squad"),
        ("tags.note", "ev.note"),
        ("tags.kind", "ev.kind"),
        ("input_tokens", "ev.deep.tin"),
        ("output_tokens", "ev.deep.tout"),
        ("model", "model.name"),
        ("usage", "ev.use"),
    ];
    let mapping = MappingConfig {
        name: "m".into(),
        fields: fields.map(|(field, path)| (field.to_owned(), path.to_owned())).into(),
        ..MappingConfig::default()
    };
    let text = r#"{"ev":{"ident":"i 1","squad":"Team A","note":"a whole prompt","kind":"chat","prompt":"SECRET",
        "deep":{"tin":5,"tout":"6","text":"SECRET"},"use":{"prompt_tokens":1,"x":"SECRET"},"other":{"y":"SECRET"}},"model":{"name":"m1","z":"SECRET"}}"#;
    let kept = kept(&Node::parse(text).unwrap(), Reason::WrongType, Some(&mapping));
    assert_eq!(
        String::from_utf8(kept.json).unwrap(),
        r#"{"ev":{"ident":"i 1","squad":"Team A","kind":"chat","deep":{"tin":5,"tout":"6"},"use":{"prompt_tokens":1}},"model":{"name":"m1"}}"#
    );
    assert_eq!(kept.left_out, ["note"], "several words in a label may be anything");
}

#[test]
fn what_is_kept_is_json() {
    check(r#"{"id":"a\"b\u0001","usage":{}}"#, r#"{"id":"a\"b\u0001","usage":{}}"#);
}
