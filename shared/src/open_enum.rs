//! Enumerations that are stored as strings and preserve unknown strings.
//!
//! A new value does not change the schema version (docs/formats.md). So an older program must read files of a newer one, and
//! preserve unknown values when it writes them again.

/// Declares an enumeration with one spelling per value, and `Other` for every other string.
macro_rules! open_enum {
    ($(#[$outer:meta])* pub enum $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$inner])* $variant,)+
            /// A value from a newer program, kept unchanged.
            Other(String),
        }

        impl $name {
            /// The values that this version knows, in the order of their declaration.
            pub const KNOWN: &[Self] = &[$(Self::$variant,)+];

            /// The spelling used in files, labels and messages.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // An unknown value may be any text.
                formatter.pad(&crate::text::visible(self.as_str()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": "Known values are given as examples; readers keep values that they do not know.",
                    "examples": [$($text),+],
                })
            }
        }
    };
}

pub(crate) use open_enum;
