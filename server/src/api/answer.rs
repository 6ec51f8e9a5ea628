//! Answers that say by their type what they are, so that the document of the API knows it too.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response as Told, SchemaObject};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Something was made: 201, with what there is to say of it.
#[derive(Debug)]
pub(super) struct Created<T>(pub(super) T);

/// Something was made, of which there is nothing to say: 201.
#[derive(Debug)]
pub(super) struct Made;

/// Something was made, or changed if it was there: 201 or 204.
#[derive(Debug)]
pub(super) enum MadeOrChanged {
    Made,
    Changed,
}

/// The same of one status or another.
#[derive(Debug)]
pub(super) struct Either<const ONE: u16, const OTHER: u16, T>(pub(super) StatusCode, pub(super) T);

impl<const ONE: u16, const OTHER: u16, T: Serialize> IntoResponse for Either<ONE, OTHER, T> {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl<const ONE: u16, const OTHER: u16, T: JsonSchema> OperationOutput for Either<ONE, OTHER, T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Told)> {
        let told = Json::<T>::operation_response(context, operation);
        told.into_iter().flat_map(|told| [(Some(ONE), told.clone()), (Some(OTHER), told)]).collect()
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl IntoResponse for Made {
    fn into_response(self) -> Response {
        StatusCode::CREATED.into_response()
    }
}

impl IntoResponse for MadeOrChanged {
    fn into_response(self) -> Response {
        match self {
            MadeOrChanged::Made => StatusCode::CREATED,
            MadeOrChanged::Changed => StatusCode::NO_CONTENT,
        }
        .into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn inferred_responses(context: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Told)> {
        Json::<T>::operation_response(context, operation).into_iter().map(|told| (Some(201), told)).collect()
    }
}

impl OperationOutput for Made {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        vec![(Some(201), nothing("It was made."))]
    }
}

impl OperationOutput for MadeOrChanged {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        vec![(Some(201), nothing("It was made.")), (Some(204), nothing("It was there, and is changed."))]
    }
}

/// Text of one kind or another, for the document of the API.
pub(super) fn text(context: &mut GenContext, description: &str, kinds: &[&str]) -> Told {
    let of_kind = |kind: &&str| ((*kind).to_owned(), media::<String>(context));
    let content = kinds.iter().map(of_kind).collect();
    Told { description: description.to_owned(), content, ..Told::default() }
}

/// What is of a type, for the document of the API.
pub(super) fn media<T: JsonSchema>(context: &mut GenContext) -> MediaType {
    let schema = SchemaObject { json_schema: context.schema.subschema_for::<T>(), example: None, external_docs: None };
    MediaType { schema: Some(schema), ..MediaType::default() }
}

fn nothing(description: &str) -> Told {
    Told { description: description.to_owned(), ..Told::default() }
}
