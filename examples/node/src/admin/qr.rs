//! How does a phone get an address of the node? By a picture.

use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use qrcode::{EcLevel, QrCode, render::svg};
use serde::Deserialize;

use super::Shared;

/// Which address, by its text.
#[derive(Deserialize)]
pub(super) struct Wanted {
    address: String,
}

/// The picture of one of the node's addresses, and of nothing else.
pub(super) async fn qr(State(shared): State<Shared>, Query(wanted): Query<Wanted>) -> Response {
    if !shared.status.has_address(&wanted.address) {
        return (StatusCode::NOT_FOUND, "no address of this node\n").into_response();
    }
    match picture(&wanted.address) {
        Some(picture) => ([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response(),
        None => (StatusCode::NOT_FOUND, "too long for a QR code\n").into_response(),
    }
}

/// Dark on light whatever the page is, as readers expect it, and with the margin that they need.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Some(
        code.render::<svg::Color<'_>>()
            .quiet_zone(true)
            .dark_color(svg::Color("#000"))
            .light_color(svg::Color("#fff"))
            .build(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_picture_and_a_book_is_not() {
        let picture = picture("/ip4/192.0.2.1/tcp/1").unwrap();
        assert!(picture.contains("<svg") && picture.ends_with("</svg>"));
        assert!(super::picture(&"a".repeat(3000)).is_none());
    }
}
