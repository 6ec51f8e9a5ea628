//! The document of the API (OpenAPI 3.1), made of the routes themselves.

use std::sync::{Arc, OnceLock};

use aide::OperationOutput;
use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use aide::generate::GenContext;
use aide::openapi::{OpenApi, Operation, ReferenceOr, Response as Told, SecurityScheme};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema};
use aide::transform::{TransformOpenApi, TransformOperation};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use schemars::JsonSchema;
use serde_json::Value;
use tracing::error;

use super::Guard;
use crate::serve::Server;

/// What the scheme is called by which callers are known.
const TOKEN: &str = "token";

/// Names and describes an operation.
pub(super) fn says(id: &'static str, summary: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| operation.id(id).summary(summary)
}

/// The same for one whose body may be left out.
pub(super) fn says_without(
    id: &'static str,
    summary: &'static str,
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |mut operation| {
        if let Some(ReferenceOr::Item(body)) = &mut operation.inner_mut().request_body {
            body.required = false;
        }
        operation.id(id).summary(summary)
    }
}

/// An operation that hears headers, which are the fields of a type.
pub(super) fn hears<Headers: JsonSchema>(context: &mut GenContext, operation: &mut Operation) {
    let headers = context.schema.subschema_for::<Headers>();
    let headers = parameters_from_schema(context, headers, ParamLocation::Header);
    add_parameters(context, operation, headers);
}

/// An operation that needs a token.
pub(super) fn needs_token(operation: &mut Operation) {
    operation.security = vec![[(TOKEN.to_owned(), Vec::new())].into_iter().collect()];
}

/// Where the document is: it describes that place too, so it is finished later than the routes.
pub(super) fn routes(document: Arc<OnceLock<Bytes>>) -> ApiRouter<Arc<Server>> {
    let tell = async move |_: Guard| {
        let document = document.get().cloned().unwrap_or_default();
        Document(document)
    };
    ApiRouter::new().api_route("/openapi.json", get_with(tell, says("openapi", "This document.")))
}

/// Makes the document of all routes.
pub(super) fn finish(routes: ApiRouter<Arc<Server>>, document: &OnceLock<Bytes>) -> Router<Arc<Server>> {
    let mut api = OpenApi::default();
    let routes = routes.finish_api_with(&mut api, describe);
    match serde_json::to_value(&api) {
        // It is made once.
        Ok(mut told) => {
            without_null(&mut told);
            drop(document.set(told.to_string().into()));
        }
        Err(error) => error!(%error, "the document of the API cannot be made"),
    }
    routes
}

/// Lets parameters be left out, but not be null: there is no such thing in an address or a header.
fn without_null(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten();
    for schema in parameters.filter_map(|parameter| parameter.get_mut("schema")) {
        if let Some(types) = schema.get("type").and_then(Value::as_array) {
            let kept: Vec<Value> = types.iter().filter(|kind| *kind != "null").cloned().collect();
            schema["type"] = match <[Value; 1]>::try_from(kept) {
                Ok([one]) => one,
                Err(several) => several.into(),
            };
        }
    }
}

/// The document itself.
#[derive(Debug)]
struct Document(Bytes);

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

impl OperationOutput for Document {
    type Inner = Value;

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Told)> {
        Json::<Value>::inferred_responses(context, operation)
    }
}

/// What concerns all of it.
fn describe(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let token = SecurityScheme::Http {
        scheme: "bearer".to_owned(),
        bearer_format: None,
        description: Some("A token of `alluvium token issue`, or that of `local/token` in the database directory.".to_owned()),
        extensions: Default::default(),
    };
    api.title("Alluvium")
        .version(env!("CARGO_PKG_VERSION"))
        .description(
            "Requests in JSON on a gateway's database; errors are problems as RFC 9457 has them, with the code of PROTOCOL.md.",
        )
        .security_scheme(TOKEN, token)
}
