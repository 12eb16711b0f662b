//! Functions of PostgreSQL that clients call while they look around, and that say the same here whatever they are asked. In: nothing; out: functions.
//!
//! They read nothing: no table, no setting of the server, no file.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::settings;

/// Answered with NULL, as PostgreSQL does where an object has no comment, no definition and no address.
const NO_TEXT: [&str; 13] = [
    "col_description",
    "inet_client_addr",
    "inet_server_addr",
    "obj_description",
    "pg_advisory_unlock_all",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_indexdef",
    "pg_get_serial_sequence",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "shobj_description",
];
const YES: [&str; 4] =
    ["pg_function_is_visible", "pg_type_is_visible", "pg_collation_is_visible", "pg_operator_is_visible"];

/// Every function of this module.
#[must_use]
pub fn all() -> Vec<ScalarUDF> {
    let text = |text: &str| ScalarValue::from(text);
    let mut all = vec![
        Fixed::new("version", text(&settings::full_version())),
        Fixed::new("pg_is_in_recovery", ScalarValue::from(false)),
        Fixed::new("pg_tablespace_location", text("")),
    ];
    all.extend(NO_TEXT.map(|name| Fixed::new(name, ScalarValue::Utf8(None))));
    all.extend(YES.map(|name| Fixed::new(name, ScalarValue::from(true))));
    let mut all: Vec<ScalarUDF> = all.into_iter().map(ScalarUDF::new_from_impl).collect();
    all.push(ScalarUDF::new_from_impl(CurrentSetting::default()));
    all
}

/// Gives one value, whatever its arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Fixed {
    fn new(name: &'static str, value: ScalarValue) -> Self {
        let kinds = vec![
            datafusion::logical_expr::TypeSignature::Nullary,
            datafusion::logical_expr::TypeSignature::VariadicAny,
        ];
        Self { name, value, signature: Signature::one_of(kinds, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// `current_setting(name)`, with or without `missing_ok`; NULL for what is no setting.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSetting {
    signature: Signature,
}

impl Default for CurrentSetting {
    fn default() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &'static str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(names) = args.args.first() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let names = cast(&names.to_array(args.number_rows)?, &DataType::Utf8)?;
        let names = names.as_any().downcast_ref::<StringArray>();
        let values = names.into_iter().flatten().map(|name| name.and_then(settings::default_of));
        let values: ArrayRef = Arc::new(values.collect::<StringArray>());
        Ok(ColumnarValue::Array(values))
    }
}
