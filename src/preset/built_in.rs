//! The presets that are compiled in, and a source of each for who has no configuration.

use url::Url;

use super::{Preset, TOKEN};

/// The presets that are compiled in: name and text.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    ("web-form", include_str!("../../config/presets/web-form.toml")),
    ("calendly", include_str!("../../config/presets/calendly.toml")),
    ("contact-form-7", include_str!("../../config/presets/contact-form-7.toml")),
    ("elementor", include_str!("../../config/presets/elementor.toml")),
    ("fluent-forms", include_str!("../../config/presets/fluent-forms.toml")),
    ("formidable", include_str!("../../config/presets/formidable.toml")),
    ("formspree", include_str!("../../config/presets/formspree.toml")),
    ("framer", include_str!("../../config/presets/framer.toml")),
    ("google-forms", include_str!("../../config/presets/google-forms.toml")),
    ("google-lead-form", include_str!("../../config/presets/google-lead-form.toml")),
    ("gravity-forms", include_str!("../../config/presets/gravity-forms.toml")),
    ("jotform", include_str!("../../config/presets/jotform.toml")),
    ("ladipage", include_str!("../../config/presets/ladipage.toml")),
    ("linkedin-lead-sync", include_str!("../../config/presets/linkedin-lead-sync.toml")),
    ("meta-lead-ads", include_str!("../../config/presets/meta-lead-ads.toml")),
    ("metform", include_str!("../../config/presets/metform.toml")),
    ("netlify-forms", include_str!("../../config/presets/netlify-forms.toml")),
    ("ninja-forms", include_str!("../../config/presets/ninja-forms.toml")),
    ("shopify-customer", include_str!("../../config/presets/shopify-customer.toml")),
    ("signed-json", include_str!("../../config/presets/signed-json.toml")),
    ("snapchat-lead", include_str!("../../config/presets/snapchat-lead.toml")),
    ("standard-webhooks", include_str!("../../config/presets/standard-webhooks.toml")),
    ("tally", include_str!("../../config/presets/tally.toml")),
    ("tiktok-lead", include_str!("../../config/presets/tiktok-lead.toml")),
    ("typeform", include_str!("../../config/presets/typeform.toml")),
    ("unbounce", include_str!("../../config/presets/unbounce.toml")),
    ("webflow", include_str!("../../config/presets/webflow.toml")),
    ("wix", include_str!("../../config/presets/wix.toml")),
    ("wpforms", include_str!("../../config/presets/wpforms.toml")),
    ("zalo-oa", include_str!("../../config/presets/zalo-oa.toml")),
    ("zapier", include_str!("../../config/presets/zapier.toml")),
];

/// The names that `preset = "…"` may say without being a path.
pub fn built_in_names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// The text of a built-in preset.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The secret of every source that runs without a configuration. It is no secret: it is published.
pub const DEVELOPMENT_SECRET: &str = "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0";

/// A source for each built-in preset but the web form, as TOML: each verifies with
/// [`DEVELOPMENT_SECRET`], by the platform's signature if there is one, else as its `token`. What is
/// fetched is fetched from the simulator at `sandbox`: a published secret is no reason to ask a
/// platform.
pub fn development_sources(destination: &str, sandbox: &Url) -> String {
    let source = |name: &str| {
        let preset = Preset::load(name, []).ok();
        let fetches = preset.as_ref().is_some_and(|preset| preset.enrich.is_some());
        let base = if fetches { format!("api_base = \"{sandbox}\"\n") } else { String::new() };
        let secrets = preset.map(|preset| preset.secrets).unwrap_or_default();
        let own = secrets.keys().filter(|secret| *secret != TOKEN || secrets.len() == 1);
        let secrets: String =
            own.map(|secret| format!("{secret} = \"{DEVELOPMENT_SECRET}\"\n")).collect();
        format!(
            "[sources.{name}]\npreset = \"{name}\"\ndestination = \"{destination}\"\n{base}\
             [sources.{name}.secrets]\n{secrets}"
        )
    };
    built_in_names().into_iter().filter(|name| *name != "web-form").map(source).collect()
}
