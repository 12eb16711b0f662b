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
        r#"{"usage":{"input_tokens":"1200"},"error_type":"[removed]"}"#,
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
    let long = "x".repeat(1025);
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
fn a_name_stays_where_a_reader_looks_for_it_and_as_a_row_has_it() {
    check(
        r#"{"call_type":"completion","metadata":{"agent_id":"a 1","note":"SECRET"},"model_parameters":{"service_tier":"flex","tools":["SECRET"]},
            "response":{"model":"my own model","choices":[{"message":{"content":"SECRET"}}]},"cost_breakdown":{"vertex_location":"europe-west1"}}"#,
        r#"{"call_type":"completion","metadata":{"agent_id":"a 1"},"model_parameters":{"service_tier":"flex"},"response":{"model":"my own model"},"cost_breakdown":{"vertex_location":"europe-west1"}}"#,
    );
    check(
        r#"{"ai":{"ai-proxy":{"usage":{"prompt_tokens":1,"cost":0.1},"meta":{"request_model":"m","llm_latency":2,"plugin_id":"SECRET"},"payload":{"request":"SECRET"}}},
            "consumer":{"username":"c 1","tags":["SECRET"]},"service":{"name":"s","host":"SECRET"}}"#,
        r#"{"ai":{"ai-proxy":{"usage":{"prompt_tokens":1,"cost":0.1},"meta":{"request_model":"m","llm_latency":2}}},"consumer":{"username":"c 1"},"service":{"name":"s"}}"#,
    );
    // A session that is a key is told to be one; by the key's hash calls are told apart where it names one.
    check(
        r#"{"id":"sk-SECRET-ab12CD34ef56GH78","session_id":"sk-SECRET-ab12CD34ef56GH78","error_type":"two words"}"#,
        r#"{"id":"sha256:30a57cb615093485","session_id":"[removed]","error_type":"[removed]"}"#,
    );
}

#[test]
fn what_is_counted_stays_countable() {
    check(
        r#"{"data":[{"url":"SECRET"},{"b64_json":"SECRET"}],"candidates":[{"groundingMetadata":{"webSearchQueries":["SECRET a","SECRET b"],
            "groundingChunks":[{"maps":{"uri":"SECRET"}},{"web":{"uri":"SECRET"}}]}}]}"#,
        r#"{"data":[{"url":"[removed]"},{"b64_json":"[removed]"}],"candidates":[{"groundingMetadata":{"webSearchQueries":["[removed]","[removed]"],"groundingChunks":[{"maps":{}},{}]}}]}"#,
    );
    check(
        r#"{"usage":{"a_new_kind":{"of":3,"text":"SECRET","vector":[0.1,0.2]},"list":[{"modality":"AUDIO","n":1,"text":"SECRET"}]}}"#,
        r#"{"usage":{"a_new_kind":{"of":3,"vector":[]},"list":[{"modality":"AUDIO","n":1}]}}"#,
    );
}

#[test]
fn an_item_in_base64_is_stripped_within() {
    let inner = r#"{"provider":"openai","model":"m","usage":{"input_tokens":5},"messages":"SECRET"}"#;
    let event = format!(r#"{{"specversion":"1.0","id":"1","data_base64":"{}"}}"#, STANDARD.encode(inner));
    let kept = String::from_utf8(json(&Node::parse(&event).unwrap())).unwrap();
    let encoded = STANDARD.encode(r#"{"provider":"openai","model":"m","usage":{"input_tokens":5}}"#);
    assert_eq!(kept, format!(r#"{{"specversion":"1.0","id":"1","data_base64":"{encoded}"}}"#));
    check(r#"{"specversion":"1.0","data_base64":"SECRET!"}"#, r#"{"specversion":"1.0","data_base64":"[removed]"}"#);
}

#[test]
fn a_shape_has_no_texts_and_names_that_are_too_long_stay_so() {
    let long = "x".repeat(1025);
    let text = format!(r#"{{"team":"{long}","prompt":"SECRET","list":[1,{{"a":"SECRET"}}],"flag":true}}"#);
    let shape = String::from_utf8(shape(&Node::parse(&text).unwrap(), None)).unwrap();
    let team = format!("[removed]{}", ".".repeat(1016));
    assert_eq!(
        shape,
        format!(r#"{{"team":"{team}","prompt":"[removed]","list":[0,{{"a":"[removed]"}}],"flag":true}}"#)
    );
}

#[test]
fn what_is_kept_is_json() {
    check(r#"{"id":"a\"b\u0001","usage":{}}"#, r#"{"id":"a\"b\u0001","usage":{}}"#);
}
