//! What operators and their tools ask a node, over HTTP. It only tells: nothing can be
//! changed here, and nothing secret is shown.
//!
//! | path | what it tells |
//! | --- | --- |
//! | `/livez` | the process is there |
//! | `/readyz` | whether it serves clients; `?verbose` says what stands in the way |
//! | `/metrics` | counts and measures, for monitoring |
//! | `/status` | [`Status`](super::Status), as JSON |
//! | `/evidence` | the records of lies, each of which proves itself |

use super::Shared;
use super::metrics::{Metrics, Traffic};
use super::posts::Posts;
use super::reception::{self, Courtesy};
use super::status::Exhibit;
use crate::net::Reach;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the pages are made of.
pub(super) struct Pages {
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) posts: Arc<Posts>,
    pub(super) depth: Box<dyn Fn() -> super::inbox::Depth + Send + Sync>,
    pub(super) refusals: Box<dyn Fn() -> BTreeMap<&'static str, u64> + Send + Sync>,
    pub(super) quorum: usize,
}

type Asked = State<Arc<Pages>>;

/// Answers for as long as the node runs.
pub(super) async fn serve(listener: TcpListener, pages: Pages) {
    let router = axum::Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/evidence", get(evidence))
        .with_state(Arc::new(pages));
    if let Err(error) = reception::serve(listener, router, Courtesy::USUAL).await {
        tracing::error!(%error, "the admin address is not served any more");
    }
}

async fn readyz(
    State(pages): Asked,
    Query(asked): Query<BTreeMap<String, String>>,
) -> impl IntoResponse {
    let status = pages.shared.status();
    let obstacles = status.obstacles(pages.quorum);
    let code = match obstacles.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let word = if obstacles.is_empty() { "ready\n" } else { "not ready\n" };
    if !asked.contains_key("verbose") {
        return (code, word.to_owned());
    }
    let reasons: String = obstacles.iter().map(|reason| format!("- {reason}\n")).collect();
    (code, format!("{word}{reasons}"))
}

async fn metrics(State(pages): Asked) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = pages.metrics.scrape(&pages.shared.status(), &pages.traffic());
    ([(header::CONTENT_TYPE, kind)], text)
}

async fn status(State(pages): Asked) -> impl IntoResponse {
    Json((*pages.shared.status()).clone())
}

async fn evidence(State(pages): Asked) -> Json<Vec<Exhibit>> {
    Json((*pages.shared.evidence()).clone())
}

impl Pages {
    fn traffic(&self) -> Traffic {
        let links = self.posts.links().map(|link| {
            let (_, bytes) = link.outbox().depth();
            (link.to(), link.reach() == Reach::Connected, bytes, link.outbox().dropped())
        });
        Traffic {
            depth: (self.depth)(),
            clients: self.posts.connected_clients(),
            links: links.collect(),
            posted: self.posts.posted(),
            refusals: (self.refusals)().into_iter().collect(),
        }
    }
}
