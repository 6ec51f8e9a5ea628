//! What the document of the API says of these paths. InfluxDB's own documentation says more.

use aide::generate::{GenContext, in_context};
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, Response as Told, Responses, StatusCode};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema, set_body};
use aide::transform::TransformOperation;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::super::answer::media;
use super::super::document::needs_token;
use super::Asked;

/// A write of points in line protocol.
pub(super) fn write(id: &'static str, summary: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    described(id, summary, |context, operation| {
        asks::<Asked>(context, operation);
        let lines = media::<String>(context);
        set_body(context, operation, body("text/plain", lines));
        answers(context, operation, &[(204, "All was written.", None)]);
    })
}

/// A ping.
pub(super) fn ping(id: &'static str, summary: &'static str) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    described(id, summary, |context, operation| answers(context, operation, &[(204, "It runs.", None)]))
}

/// Statements, in the query or, with POST, in a form.
pub(super) fn query(
    id: &'static str,
    summary: &'static str,
    in_form: bool,
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    described(id, summary, move |context, operation| {
        asks::<Asked>(context, operation);
        if in_form {
            let form = media::<Asked>(context);
            let form = body("application/x-www-form-urlencoded", form);
            set_body(context, operation, RequestBody { required: false, ..form });
        }
        let results = media::<Map<String, Value>>(context);
        answers(context, operation, &[(200, "What came of the statements.", Some(results))]);
    })
}

fn described(
    id: &'static str,
    summary: &'static str,
    describe: impl FnOnce(&mut GenContext, &mut Operation),
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |mut operation| {
        in_context(|context| describe(context, operation.inner_mut()));
        operation.id(id).summary(summary)
    }
}

/// What follows the path, and a token.
fn asks<T: JsonSchema>(context: &mut GenContext, operation: &mut Operation) {
    needs_token(operation);
    let schema = context.schema.subschema_for::<T>();
    let parameters = parameters_from_schema(context, schema, ParamLocation::Query);
    add_parameters(context, operation, parameters);
}

fn body(kind: &str, media: MediaType) -> RequestBody {
    RequestBody { content: [(kind.to_owned(), media)].into_iter().collect(), required: true, ..RequestBody::default() }
}

/// What is answered where it was done, and where it was not.
fn answers(context: &mut GenContext, operation: &mut Operation, done: &[(u16, &str, Option<MediaType>)]) {
    let told = |description: &str, media: Option<MediaType>| {
        let content = media.map(|media| ("application/json".to_owned(), media)).into_iter().collect();
        ReferenceOr::Item(Told { description: description.to_owned(), content, ..Told::default() })
    };
    let failed = told("It was not done, and why, in the words of InfluxDB.", Some(media::<Map<String, Value>>(context)));
    let done = done.iter().map(|(status, description, media)| (StatusCode::Code(*status), told(description, media.clone())));
    operation.responses = Some(Responses { default: Some(failed), responses: done.collect(), ..Responses::default() });
}
