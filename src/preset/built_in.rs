//! The presets that are compiled in, and a source of each for who has no configuration.

use url::Url;

use super::{Preset, TOKEN};

/// How a platform is set up, in Markdown: one page, in each language of the console.
#[derive(Debug, Clone, Copy)]
pub struct Guide {
    /// `docs/presets`
    pub english: &'static str,
    /// `docs/presets/vi`
    pub vietnamese: &'static str,
}

/// Name, text and guide of each.
macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        /// The presets that are compiled in: name, text, and how to set the platform up.
        pub(super) const BUILT_IN: &[(&str, &str, Guide)] = &[$((
            $name,
            include_str!(concat!("../../config/presets/", $name, ".toml")),
            Guide {
                english: include_str!(concat!("../../docs/presets/", $name, ".md")),
                vietnamese: include_str!(concat!("../../docs/presets/vi/", $name, ".md")),
            },
        )),+];
    };
}

#[rustfmt::skip]
built_in!(
    "web-form",
    "calendly",
    "contact-form-7",
    "elementor",
    "fluent-forms",
    "formidable",
    "formspree",
    "framer",
    "google-forms",
    "google-lead-form",
    "gravity-forms",
    "jotform",
    "ladipage",
    "linkedin-lead-sync",
    "meta-lead-ads",
    "metform",
    "netlify-forms",
    "ninja-forms",
    "shopify-customer",
    "signed-json",
    "snapchat-lead",
    "standard-webhooks",
    "tally",
    "tiktok-lead",
    "typeform",
    "unbounce",
    "webflow",
    "wix",
    "wpforms",
    "zalo-oa",
    "zapier",
);

/// The names that `preset = "…"` may say without being a path.
pub fn built_in_names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, ..)| *name).collect()
}

/// The text of a built-in preset.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, ..)| *known == name).map(|(_, text, _)| *text)
}

/// How to set up the platform of a built-in preset.
pub fn built_in_guide(name: &str) -> Option<Guide> {
    BUILT_IN.iter().find(|(known, ..)| *known == name).map(|(.., guide)| *guide)
}

/// The secret of every source that runs without a configuration. It is no secret: it is published.
pub const DEVELOPMENT_SECRET: &str = "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0";

/// A source for each built-in preset, as TOML: each verifies with
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
    built_in_names().into_iter().map(source).collect()
}
