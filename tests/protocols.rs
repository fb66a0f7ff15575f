//! The protocol names under which a service is offered, and what each of them means for a stream.

mod support;

use futures::StreamExt;
use libp2p_http_proxy::{Config, OutboundFailure, Protocol, Request, Response};

use self::support::{Node, name, within};

/// Asks for a service under `protocol`, and says what came back.
async fn ask(client: &Node, server: &Node, protocol: Protocol) -> Result<String, OutboundFailure> {
    let request = Request::new("GET", "/", "test", "question").expect("is a request");
    let sent = client.client.send(server.peer, protocol, request);
    let response = within(sent).await?;
    let body = within(response.body.collect(100)).await.expect("a body");
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn answering(config: Config, service: &str) -> Node {
    let server = Node::memory(config).await;
    let mut requests = server.accept(&name(service)).await;
    tokio::spawn(async move {
        while let Some(inbound) = requests.next().await {
            let text = format!("answered by {}", inbound.service);
            let body = within(inbound.request.body.collect(100)).await;
            assert_eq!(body.expect("a body"), "question");
            let response = Response::new(200, text).expect("is a response");
            inbound.responder.send(response).await.expect("is sent");
        }
    });
    server
}

#[tokio::test]
async fn a_service_is_offered_under_its_own_name_and_its_aliases() {
    let config = Config::default()
        .with_kubo_names(true)
        .with_alias(Protocol::Kubo, name("app"))
        .with_alias(Protocol::Libp2pHttp, name("app"));
    let (client, server) = (
        Node::memory(Config::default()).await,
        answering(config, "app").await,
    );
    client.knows(&server).await;
    let protocols = [
        Protocol::Service(name("app")),
        Protocol::KuboService(name("app")),
        Protocol::Kubo,
        Protocol::Libp2pHttp,
    ];
    for protocol in protocols {
        // Twice: a second request finds the stream of the first, or opens its own where a protocol wants that.
        for _ in 0..2 {
            let answer = ask(&client, &server, protocol.clone()).await;
            assert_eq!(answer.expect("an answer"), "answered by app", "{protocol}");
        }
    }
}

#[tokio::test]
async fn nothing_but_its_own_name_is_offered_unasked() {
    let (client, server) = (
        Node::memory(Config::default()).await,
        answering(Config::default(), "app").await,
    );
    client.knows(&server).await;
    let protocols = [
        Protocol::KuboService(name("app")),
        Protocol::Kubo,
        Protocol::Libp2pHttp,
        Protocol::Service(name("App")),
    ];
    for protocol in protocols {
        let answer = ask(&client, &server, protocol.clone()).await;
        let Err(OutboundFailure::UnsupportedProtocol { protocol: refused }) = answer else {
            panic!("{protocol}: {answer:?}");
        };
        assert_eq!(refused, protocol);
    }
}

#[tokio::test]
async fn a_half_closed_request_is_answered() {
    let protocol = Protocol::Service(name("app"));
    let config = Config::default().with_half_close(protocol.clone());
    let (client, server) = (
        Node::memory(config).await,
        answering(Config::default(), "app").await,
    );
    client.knows(&server).await;
    for _ in 0..3 {
        let answer = ask(&client, &server, protocol.clone()).await;
        assert_eq!(answer.expect("an answer"), "answered by app");
    }
}

#[tokio::test]
async fn the_swarm_announces_what_is_offered() {
    use libp2p::swarm::{ConnectionHandler, NetworkBehaviour};

    let node = Node::memory(Config::default().with_kubo_names(true)).await;
    let _requests = node.accept(&name("app")).await;
    let mut announced = node
        .with(|swarm| {
            use libp2p::core::{Endpoint, UpgradeInfo, transport::PortUse};
            let handler = swarm
                .behaviour_mut()
                .handle_established_outbound_connection(
                    libp2p::swarm::ConnectionId::new_unchecked(77),
                    libp2p::PeerId::random(),
                    &libp2p::Multiaddr::empty(),
                    Endpoint::Dialer,
                    PortUse::New,
                )
                .expect("any connection is welcome");
            let upgrade = handler.listen_protocol().into_upgrade().0;
            let info = upgrade.protocol_info();
            info.map(|protocol| protocol.to_string())
                .collect::<Vec<_>>()
        })
        .await;
    announced.sort_unstable();
    assert_eq!(announced, ["/x/app/http", "/x/http/app"]);
}
