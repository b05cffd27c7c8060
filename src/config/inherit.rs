//! What a role's own model takes over from `models.default`.

use serde_json::Value;

/// Keys of `models` that are roles with a model of their own.
const ROLES: [&str; 5] = ["situations", "speaker", "selector", "safety", "judge"];

/// Keys that say which model is asked, and where.
const WHICH: [&str; 4] = ["model", "deployment", "base_url", "endpoint"];

/// Keys that hold for the model of `default` alone.
const OF_THAT_MODEL: [&str; 3] = ["deployments", "limits", "price"];

/// Gives every role's own model what it leaves out and `models.default` states.
///
/// One that names its `provider` stands for itself: the key of one server must not go to another because a line was left out.
/// One that names another model or place does not take over what the default model costs, may use a minute, or is deployed at;
/// a list of prices holds for any.
pub(super) fn inherit(document: &mut Value) {
    let Some(models) = document.get_mut("models").and_then(Value::as_object_mut) else { return };
    let Some(default) = models.get("default").and_then(Value::as_object).cloned() else { return };
    for role in ROLES {
        let Some(own) = models.get_mut(role).and_then(Value::as_object_mut) else { continue };
        if own.contains_key("provider") {
            continue;
        }
        let is_other = WHICH.into_iter().any(|key| own.contains_key(key));
        for (key, value) in &default {
            let is_listed = value.get("list").is_some();
            if !own.contains_key(key) && (!is_other || is_listed || !OF_THAT_MODEL.contains(&key.as_str())) {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_takes_over_what_it_leaves_out() {
        let default = json!({"provider": "openai", "base_url": "http://a/v1", "model": "m", "api_key_env": "A", "temperature": 0.3,
            "limits": {"rpm": 5}, "price": {"prompt": 1, "completion": 2}});
        let mut document = json!({"models": {"default": default,
            "judge": {"model": "j"}, "selector": {"temperature": null}, "speaker": {"provider": "openai", "model": "s"}, "safety": null}});
        inherit(&mut document);
        let models = &document["models"];
        assert_eq!(models["default"], default);
        let expected = json!({"model": "j", "provider": "openai", "base_url": "http://a/v1", "api_key_env": "A", "temperature": 0.3});
        assert_eq!(models["judge"], expected, "neither price nor limits of another model");
        let mut expected = default.clone();
        expected["temperature"] = Value::Null;
        assert_eq!(models["selector"], expected, "null is stated, too");
        assert_eq!(
            models["speaker"],
            json!({"provider": "openai", "model": "s"}),
            "one with a provider stands for itself"
        );
        assert_eq!(models["safety"], Value::Null);

        let mut document =
            json!({"models": {"default": {"price": {"list": "built-in"}, "model": "m"}, "judge": {"model": "j"}}});
        inherit(&mut document);
        assert_eq!(document["models"]["judge"]["price"], json!({"list": "built-in"}));
        for mut other in
            [json!(null), json!({"models": []}), json!({"models": {"default": 1, "judge": {"model": "j"}}})]
        {
            let before = other.clone();
            inherit(&mut other);
            assert_eq!(other, before);
        }
    }
}
