//! Do we talk to what is out there? Messages in the forms in which real clients and servers send them.
//!
//! Every message is read whole and byte by byte, and goes through the rewriting that a proxy does.

#[path = "../fuzz/cookies.rs"]
mod cookies;
#[path = "../fuzz/proxy.rs"]
mod proxy;
#[path = "../fuzz/transcript.rs"]
mod transcript;

use libp2p_http_proxy::{
    h1::{Client, CloseReason, Limits, RequestContext, RequestHead, ResponseHead, Server},
    rewrite::{CookieScope, ResponseRewrite},
};

use transcript::{Found, Short, Transcript, bytewise, requests, responses};

/// Requests: who sends it, its bytes, what is found in it, and what it asks of the connection.
#[rustfmt::skip]
const REQUESTS: &[(&str, &[u8], &str, &str)] = &[
    // curl
    ("curl", b"GET /x?y=z HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n", "GET /x?y=z . ", "keep"),
    ("curl --head", b"HEAD / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/7.29.0\r\nAccept: */*\r\n\r\n", "HEAD / . ", "keep"),
    ("curl --http1.0", b"GET / HTTP/1.0\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n", "GET / . ", "Http10"),
    ("curl --data", b"POST /f HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nContent-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1&b=2", "POST /f 'a=1&b=2' . ", "keep"),
    ("curl --upload-file -", b"PUT /f HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "PUT /f 'hello' . ", "keep expect"),
    ("curl --http2", b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", "GET / . ", "keep"),
    ("curl --proxy", b"GET http://a.example:8080/x HTTP/1.1\r\nHost: a.example:8080\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nProxy-Connection: Keep-Alive\r\n\r\n", "GET http://a.example:8080/x . ", "keep"),
    ("curl --request-target *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n", "OPTIONS * . ", "keep"),
    ("curl --path-as-is", b"GET /a/../b//%2F?x=%zz HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99,-1\r\nAuthorization: Basic YTpi\r\nCookie: a=1; b=2\r\n\r\n", "GET /a/../b//%2F?x=%zz . ", "keep"),
    ("curl ws://", b"GET /chat HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\n\r\n", "GET /chat . ", "keep upgrade"),
    ("wget", b"GET /f.iso HTTP/1.1\r\nHost: a\r\nUser-Agent: Wget/1.25.0\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: Keep-Alive\r\n\r\n", "GET /f.iso . ", "keep"),
    // Browsers
    ("Chromium, page", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: keep-alive\r\nsec-ch-ua: \"Not)A;Brand\";v=\"8\", \"Chromium\";v=\"138\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nDNT: 1\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.8\r\nIf-None-Match: W/\"1f-abc\"\r\nIf-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n", "GET / . ", "keep"),
    ("Chromium, fetch", b"POST /api?x[]=1|2&q=\"a\" HTTP/1.1\r\nHost: a:8080\r\nConnection: keep-alive\r\nContent-Length: 12\r\nsec-ch-ua-platform: \"Linux\"\r\nContent-Type: application/json\r\nAccept: */*\r\nOrigin: http://a:8080\r\nReferer: http://a:8080/\r\nCookie: session=abc; theme=dark\r\n\r\n{\"a\":\"\xc3\xa9\r\n\"}", "POST /api?x[]=1|2&q=\"a\" '{\\\"a\\\":\\\"\\xc3\\xa9\\r\\n\\\"}' . ", "keep"),
    ("Chromium, preflight", b"OPTIONS /api HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nAccept: */*\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type,x-token\r\nOrigin: null\r\n\r\n", "OPTIONS /api . ", "keep"),
    ("Chromium, EventSource", b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\nAccept: text/event-stream\r\nLast-Event-ID: 7\r\n\r\n", "GET /events . ", "keep"),
    ("Chromium, WebSocket", b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\nOrigin: http://a\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n", "GET /ws . ", "keep upgrade"),
    ("Firefox, form", b"POST /up HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html\r\nContent-Type: multipart/form-data; boundary=----geckoformboundary1\r\nContent-Length: 76\r\nConnection: keep-alive\r\nPriority: u=0, i\r\n\r\n------geckoformboundary1\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n------geckoformboundary1--", "POST /up '------geckoformboundary1\\r\\nX: y\\r\\n\\r\\nGET / HTTP/1.1\\r\\n------geckoformboundary1--' . ", "keep"),
    ("Firefox, WebSocket", b"GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nOrigin: http://a\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /ws . ", "keep upgrade"),
    ("Safari", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade-Insecure-Requests: 1\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\nConnection: keep-alive\r\nPriority: u=0, i\r\nAccept-Encoding: gzip, deflate\r\n\r\n", "GET / . ", "keep"),
    ("Internet Explorer 5, line end behind a form", b"POST /f HTTP/1.1\r\nAccept: */*\r\nUA-CPU: x86\r\nHost: a\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\na=b\r\nGET /g HTTP/1.1\r\nHost: a\r\n\r\n", "POST /f 'a=b' . GET /g . ", "keep"),
    // Proxies
    ("nginx 1.0 upstream", b"GET /x HTTP/1.0\r\nHost: backend\r\nConnection: close\r\nX-Real-IP: 192.0.2.1\r\nUser-Agent: x\r\n\r\n", "GET /x . ", "PeerAskedClose"),
    ("nginx WebSocket upstream", b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n\r\n", "GET /x . ", "keep upgrade"),
    ("Apache mod_proxy", b"GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Server: a\r\nMax-Forwards: 10\r\nConnection: Keep-Alive\r\n\r\n", "GET /x . ", "keep"),
    ("HAProxy, Envoy", b"POST /x HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: http\r\nx-request-id: 00000000-0000-4000-8000-000000000000\r\nx-envoy-expected-rq-timeout-ms: 15000\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "POST /x 'ok' . ", "keep"),
    ("Squid, Varnish", b"GET http://a/x HTTP/1.1\r\nHost: a\r\nVia: 1.1 proxy (squid/6.9), 1.1 varnish\r\nCache-Control: max-age=259200\r\nConnection: keep-alive\r\n\r\n", "GET http://a/x . ", "keep"),
    // Libraries
    ("node http", b"GET /x HTTP/1.1\r\nHost: localhost:3000\r\nConnection: keep-alive\r\n\r\n", "GET /x . ", "keep"),
    ("node http, stream", b"POST /x HTTP/1.1\r\nHost: localhost:3000\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST /x 'hello' . ", "PeerAskedClose"),
    ("node fetch", b"POST /x HTTP/1.1\r\nhost: localhost:3000\r\nconnection: keep-alive\r\ncontent-type: application/json\r\naccept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\ncontent-length: 2\r\n\r\n{}", "POST /x '{}' . ", "keep"),
    ("Go", b"GET /x HTTP/1.1\r\nHost: a:8080\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n", "GET /x . ", "keep"),
    ("Go, trailers", b"POST /x HTTP/1.1\r\nHost: a\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\nAccept-Encoding: gzip\r\n\r\n7\r\ncontent\r\n0\r\nX-Checksum: 1a2b\r\n\r\n", "POST /x 'content' .(X-Checksum=1a2b;) ", "keep"),
    ("Go, ReverseProxy of a gRPC client", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTe: trailers\r\nX-Forwarded-For: ::1\r\nAccept-Encoding: gzip\r\n\r\n", "POST /x . ", "keep trailers"),
    ("Python http.client", b"POST /x HTTP/1.1\r\nHost: localhost:8000\r\nAccept-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\nB\r\nhello world\r\n0\r\n\r\n", "POST /x 'hello world' . ", "keep"),
    ("Python urllib", b"GET /x HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: a\r\nUser-Agent: Python-urllib/3.13\r\nConnection: close\r\n\r\n", "GET /x . ", "PeerAskedClose"),
    ("Python requests", b"POST /x HTTP/1.1\r\nHost: a\r\nUser-Agent: python-requests/2.32.4\r\nAccept-Encoding: gzip, deflate, br\r\nAccept: */*\r\nConnection: keep-alive\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1", "POST /x 'a=1' . ", "keep"),
    ("Python aiohttp, websockets", b"GET /x HTTP/1.1\r\nHost: a:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nUser-Agent: Python/3.13 websockets/15.0\r\n\r\n", "GET /x . ", "keep upgrade"),
    ("hyper, reqwest", b"PUT /x HTTP/1.1\r\naccept: */*\r\nhost: a:8080\r\ncontent-length: 1\r\n\r\nx", "PUT /x 'x' . ", "keep"),
    ("tungstenite", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "GET / . ", "keep upgrade"),
    ("Java HttpClient", b"GET /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 0\r\nHost: a:8080\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n\r\n", "GET /x . ", "keep"),
    ("Java URLConnection", b"GET /x HTTP/1.1\r\nUser-Agent: Java/1.8.0_402\r\nHost: a:8080\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\r\n", "GET /x . ", "keep"),
    (".NET HttpClient", b"POST /x HTTP/1.1\r\nHost: a:8080\r\nRequest-Id: |1.2.\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json; charset=utf-8\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "POST /x '{}' . ", "keep"),
    (".NET Framework", b"POST /x HTTP/1.1\r\nContent-Type: text/xml\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: Keep-Alive\r\n\r\n<a/>", "POST /x '<a/>' . ", "keep expect"),
    ("Ruby", b"GET /x HTTP/1.1\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\nUser-Agent: Ruby\r\nHost: a:3000\r\n\r\n", "GET /x . ", "keep"),
    ("PHP", b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: PHP\r\n\r\n", "GET /x . ", "PeerAskedClose"),
    ("Docker", b"POST /v1.47/containers/abc/attach?stderr=1&stdin=1&stdout=1&stream=1 HTTP/1.1\r\nHost: api.moby.localhost\r\nUser-Agent: Docker-Client/27.0 (linux)\r\nContent-Length: 0\r\nConnection: Upgrade\r\nContent-Type: text/plain\r\nUpgrade: tcp\r\n\r\n", "POST /v1.47/containers/abc/attach?stderr=1&stdin=1&stdout=1&stream=1 . ", "keep upgrade"),
    ("kubectl", b"POST /api/v1/namespaces/d/pods/p/exec?command=sh&stdin=true HTTP/1.1\r\nHost: k:6443\r\nUser-Agent: kubectl/v1.30\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n\r\n", "POST /api/v1/namespaces/d/pods/p/exec?command=sh&stdin=true . ", "keep upgrade"),
    ("WebDAV", b"PROPFIND /dav/ HTTP/1.1\r\nHost: a\r\nDepth: 1\r\nContent-Type: application/xml\r\nContent-Length: 11\r\n\r\n<propfind/>", "PROPFIND /dav/ '<propfind/>' . ", "keep"),
    ("ab -k", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: a\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n", "GET / . ", "keep"),
    ("wrk", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", "GET / . ", "keep"),
    ("telnet", b"GET / HTTP/1.0\r\n\r\n", "GET / . ", "Http10"),
    ("kubo", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: kubo/0.39.0\r\nX-Forwarded-For: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n", "GET / . ", "keep"),
    // What no one sends on purpose, and many do
    ("white space around values", b"GET / HTTP/1.1\r\nHost:a\r\nA:   1\r\nB: 2   \r\nC:\t3\t\r\nD:\r\nE: \r\nF: a \t b\r\nContent-Length:  2 \r\n\r\nok", "GET / 'ok' . ", "keep"),
    ("text that is not ASCII", b"GET /caf\xc3\xa9?\xe2\x82\xac HTTP/1.1\r\nHost: a\r\nX-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9 \xe2\x82\xac\r\nX-Shift-Jis: \x83\x65\x83\x58\r\n\r\n", "GET /café?€ . ", "keep"),
    ("names in any case", b"GET / HTTP/1.1\r\nHOST: a\r\ncOnNeCtIoN: KEEP-ALIVE\r\nX_Under_Score: 1\r\nX.Dot: 2\r\nX!#$%&'*+-.^`|~: 3\r\n\r\n", "GET / . ", "keep"),
    ("hosts of any kind", b"GET / HTTP/1.1\r\nHost: my_service.internal:\r\n\r\nGET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\nGET / HTTP/1.1\r\nHost: xn--mnchen-3ya.example.\r\n\r\n", "GET / . GET / . GET / . ", "keep"),
    ("extensions of chunks", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1;\r\na\r\n1;x\r\nb\r\n1 ; x = \"y;z\"\r\nc\r\n01;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\nd\r\n0;\r\n\r\n", "POST / 'abcd' . ", "keep"),
    ("Connection in several lines", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: , Upgrade ,\r\nUpgrade: websocket\r\n\r\n", "GET / . ", "keep upgrade"),
];

/// Which request a response is to.
#[derive(Clone, Copy, Debug)]
enum To {
    Get,
    Head,
    Upgrade,
}

use To::{Get, Head, Upgrade};

/// Responses: who sends it, to what, its bytes, what is found in it, and what becomes of the connection.
#[rustfmt::skip]
const RESPONSES: &[(&str, To, &[u8], &str, &str)] = &[
    ("nginx", Get, b"HTTP/1.1 200 OK\r\nServer: nginx/1.28.0\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 5\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"65920080-5\"\r\nAccept-Ranges: bytes\r\n\r\nhello", "200 'hello' . ", "keep"),
    ("nginx, gzip", Get, b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n", "200 '\\x1f\\x8b' . ", "keep"),
    ("nginx, range", Get, b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nContent-Range: bytes 0-1/5\r\n\r\nhe", "206 'he' . ", "keep"),
    ("nginx, not modified", Get, b"HTTP/1.1 304 Not Modified\r\nServer: nginx\r\nConnection: keep-alive\r\nETag: \"65920080-5\"\r\n\r\n", "304 . ", "keep"),
    ("nginx, head", Head, b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", "200 . ", "keep"),
    ("nginx, error", Get, b"HTTP/1.1 413 Request Entity Too Large\r\nServer: nginx\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", "413 'no' . ", "PeerAskedClose"),
    ("nginx, HTTP/1.0 application behind", Get, b"HTTP/1.1 200 OK\r\nServer: nginx\r\nConnection: close\r\n\r\nold", "200 'old' . ", "UntilClose"),
    ("Apache", Get, b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Apache/2.4.62 (Debian)\r\nVary: Accept-Encoding\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html;charset=UTF-8\r\n\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "200 'abcdefghijklmnopqrstuvwxyz' . ", "keep"),
    ("Apache, upload", Get, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Apache\r\nLocation: http://a/x\r\nContent-Length: 0\r\n\r\n", "100 201 . ", "keep"),
    ("Apache, early hints", Get, b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nLink: </b.js>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "103 200 . ", "keep"),
    ("Apache, h2c offered", Get, b"HTTP/1.1 200 OK\r\nServer: Apache\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 1\r\n\r\nx", "200 'x' . ", "keep"),
    ("node", Get, b"HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\nETag: W/\"2-nOO9QiTIwXgNtWtBJezz8kv3SLc\"\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nOK", "200 'OK' . ", "keep"),
    ("node, stream", Get, b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n2\r\n\n\n\r\n0\r\n\r\n", "200 'data: 1\\n\\n' . ", "keep"),
    ("node, head", Head, b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", "200 . ", "PeerAskedClose"),
    ("ws", Upgrade, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "101 ", "Switched"),
    ("Go", Get, b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 19\r\n\r\n404 page not found\n", "404 '404 page not found\\n' . ", "keep"),
    ("Go, trailers", Get, b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", "200 'ok' .(X-Sum=1;) ", "keep"),
    ("Go, no content", Get, b"HTTP/1.1 204 No Content\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n", "204 . ", "keep"),
    ("gorilla/websocket", Upgrade, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n", "101 ", "Switched"),
    ("Docker", Upgrade, b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nApi-Version: 1.47\r\n\r\n", "101 ", "Switched"),
    ("upgrade refused", Upgrade, b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nno", "426 'no' . ", "keep"),
    ("Python http.server", Get, b"HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.13.5\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-type: text/html; charset=utf-8\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "Http10"),
    ("Python http.server, error", Head, b"HTTP/1.0 404 File not found\r\nServer: SimpleHTTP/0.6 Python/3.13.5\r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: 335\r\n\r\n", "404 . ", "PeerAskedClose"),
    ("Werkzeug", Get, b"HTTP/1.1 200 OK\r\nServer: Werkzeug/3.1.3 Python/3.13.5\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", "200 'ok' . ", "PeerAskedClose"),
    ("uvicorn", Get, b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n", "200 '[]' . ", "keep"),
    ("gunicorn", Get, b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno", "500 'no' . ", "PeerAskedClose"),
    ("aiohttp", Upgrade, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Python/3.13 aiohttp/3.12\r\n\r\n", "101 ", "Switched"),
    ("hyper, axum", Get, b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\nok", "200 'ok' . ", "keep"),
    ("axum, WebSocket", Upgrade, b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", "101 ", "Switched"),
    ("IIS", Get, b"HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Type: text/html; charset=utf-8\r\nServer: Microsoft-IIS/10.0\r\nX-AspNet-Version: 4.0.30319\r\nSet-Cookie: ASP.NET_SessionId=abc; path=/; HttpOnly; SameSite=Lax\r\nX-Powered-By: ASP.NET\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "keep"),
    ("IIS, login", Get, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Basic realm=\"a, b\"\r\n\r\n", "401 . ", "keep"),
    ("IIS, WebSocket", Upgrade, b"HTTP/1.1 101 Switching Protocols\r\nCache-Control: private\r\nUpgrade: Websocket\r\nServer: Microsoft-IIS/10.0\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nConnection: Upgrade\r\n\r\n", "101 ", "Switched"),
    ("Kestrel", Get, b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Kestrel\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nHello World!\r\n0\r\n\r\n", "200 'Hello World!' . ", "keep"),
    ("Tomcat", Get, b"HTTP/1.1 200 \r\nContent-Type: text/html;charset=UTF-8\r\nTransfer-Encoding: chunked\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nKeep-Alive: timeout=20\r\nConnection: keep-alive\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 'ok' . ", "keep"),
    ("Jetty", Get, b"HTTP/1.1 200 OK\r\nServer: Jetty(12.0.9)\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "keep"),
    ("PHP", Get, b"HTTP/1.1 200 OK\r\nHost: localhost:8000\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: close\r\nX-Powered-By: PHP/8.4.8\r\nContent-type: text/html; charset=UTF-8\r\n\r\n<html>", "200 '<html>' . ", "UntilClose"),
    ("Puma, Rails", Get, b"HTTP/1.1 200 OK\r\nx-frame-options: SAMEORIGIN\r\nContent-Type: text/html; charset=utf-8\r\nEtag: W/\"a\"\r\nSet-Cookie: _app=1; path=/; httponly\r\nSet-Cookie: csrf=2\r\nX-Runtime: 0.01\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 'ok' . ", "keep"),
    ("Caddy", Get, b"HTTP/1.1 308 Permanent Redirect\r\nConnection: close\r\nLocation: https://a/\r\nServer: Caddy\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n", "308 . ", "PeerAskedClose"),
    ("lighttpd", Get, b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: lighttpd/1.4.79\r\n\r\nx", "403 'x' . ", "keep"),
    ("busybox httpd", Get, b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: close\r\nContent-type: text/plain\r\nAccept-Ranges: bytes\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "PeerAskedClose"),
    ("kubo", Get, b"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nAccess-Control-Allow-Headers: Content-Type\r\nAccess-Control-Allow-Headers: Range\r\nCache-Control: public, max-age=29030400, immutable\r\nX-Ipfs-Path: /ipfs/bafy\r\nX-Ipfs-Roots: bafy\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "keep"),
    ("a small device", Get, b"HTTP/1.1 200\r\nContent-Length:2\r\n\r\nok", "200 'ok' . ", "keep"),
    ("HTTP/1.0 that stays", Get, b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", "200 'ok' . ", "keep"),
    ("statuses of others", Get, b"HTTP/1.1 520 Web Server Returned an Unknown Error\r\nContent-Length: 0\r\n\r\n", "520 . ", "keep"),
    ("a reason that is not ASCII", Get, b"HTTP/1.1 404 Nicht gefunden \xfc\xc3\xbc\r\nContent-Length: 0\r\n\r\n", "404 . ", "keep"),
    ("text that is not ASCII", Get, b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"\xc3\xa9t\xe9.txt\"\r\nContent-Length: 0\r\n\r\n", "200 . ", "keep"),
    ("no content, and it says so", Get, b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", "204 . ", "keep"),
    ("not modified, with what would have come", Get, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\n", "304 . ", "keep"),
    ("extensions of chunks", Get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n1;\r\na\r\n0001;a=b\r\nb\r\n1 ;c\r\nc\r\n000\r\n\r\n", "200 'abc' . ", "keep"),
    ("several interim responses", Get, b"HTTP/1.1 100 Continue\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "100 102 102 200 . ", "keep"),
];

fn context(to: To) -> RequestContext {
    let mut context = RequestContext::default();
    context.head_method = matches!(to, Head);
    context.upgrade = matches!(to, Upgrade);
    context
}

#[test]
fn requests_of_real_clients() {
    let limits = Limits::default();
    for (who, input, found, asked) in REQUESTS {
        let whole = requests(input, [], &limits);
        assert_eq!(Short::<Server>(&whole).to_string(), *found, "{who}");
        assert!(
            whole.is_same(&requests(input, bytewise(input), &limits)),
            "{who}, bytewise"
        );
        let Some(Found::Head(head)) = whole.found.first() else {
            panic!("{who}: no head")
        };
        assert_eq!(what_is_asked(head), *asked, "{who}");
        check_rewriting(input);
    }
}

/// What a request asks of the connection.
fn what_is_asked(head: &RequestHead) -> String {
    let context = head.context();
    let close = match context.close {
        Some(reason) => format!("{reason:?}"),
        None => "keep".to_owned(),
    };
    let more = [
        (context.upgrade, " upgrade"),
        (context.expect_continue, " expect"),
        (head.takes_trailers(), " trailers"),
    ];
    let more = more
        .iter()
        .filter(|(is_asked, _)| *is_asked)
        .map(|(_, what)| *what);
    close + &more.collect::<String>()
}

#[test]
fn responses_of_real_servers() {
    let limits = Limits::default();
    for (who, to, input, found, kept) in RESPONSES {
        let read = |cuts: Vec<usize>| responses(input, cuts, &limits, [context(*to)]);
        let whole = read(Vec::new());
        assert_eq!(Short::<Client>(&whole).to_string(), *found, "{who}");
        assert!(
            whole.is_same(&read(bytewise(input).collect())),
            "{who}, bytewise"
        );
        assert_eq!(what_is_left(&whole), *kept, "{who}");
        check_rewriting(input);
    }
}

/// What becomes of the connection.
fn what_is_left(read: &Transcript<ResponseHead>) -> String {
    match read.close {
        // That the input ended is the doing of the test.
        None | Some(CloseReason::PeerEnded) => "keep".to_owned(),
        Some(reason) => format!("{reason:?}"),
    }
}

/// What a proxy makes of it is a message again, whatever the proxy is told to change.
fn check_rewriting(input: &[u8]) {
    for settings in 0..=u8::MAX {
        proxy::rewrite(&[&[settings], input].concat());
    }
}

/// Cookies: who sets them, the value, and what becomes of it at a host of its own and below `/p/app`.
#[rustfmt::skip]
const COOKIES: &[(&str, &str, &str, &str)] = &[
    ("PHP", "PHPSESSID=4f9c1e7a; path=/", "PHPSESSID=4f9c1e7a; path=/", "PHPSESSID=4f9c1e7a; path=/p/app/"),
    ("PHP, deleted", "x=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/; domain=.example.com", "x=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/", "x=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/p/app/"),
    ("Django", "csrftoken=a; expires=Mon, 21 Nov 2027 12:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax", "csrftoken=a; expires=Mon, 21 Nov 2027 12:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax", "csrftoken=a; expires=Mon, 21 Nov 2027 12:00:00 GMT; Max-Age=31449600; Path=/p/app/; SameSite=Lax"),
    ("Flask", "session=eyJ.aZ.k-_; HttpOnly; Path=/", "session=eyJ.aZ.k-_; HttpOnly; Path=/", "session=eyJ.aZ.k-_; HttpOnly; Path=/p/app/"),
    ("Jupyter", "username-localhost-8888=\"2|1:0|10:17|a==|b\"; expires=Wed, 23 Dec 2026 12:00:00 GMT; HttpOnly; Path=/", "username-localhost-8888=\"2|1:0|10:17|a==|b\"; expires=Wed, 23 Dec 2026 12:00:00 GMT; HttpOnly; Path=/", "username-localhost-8888=\"2|1:0|10:17|a==|b\"; expires=Wed, 23 Dec 2026 12:00:00 GMT; HttpOnly; Path=/p/app/"),
    ("Express", "connect.sid=s%3Aa.b%2F; Path=/; HttpOnly", "connect.sid=s%3Aa.b%2F; Path=/; HttpOnly", "connect.sid=s%3Aa.b%2F; Path=/p/app/; HttpOnly"),
    ("Tomcat", "JSESSIONID=0A1B; Path=/shop; HttpOnly", "JSESSIONID=0A1B; Path=/shop; HttpOnly", "JSESSIONID=0A1B; Path=/p/app/shop; HttpOnly"),
    ("ASP.NET Core", ".AspNetCore.Identity=CfDJ8; path=/; secure; samesite=lax; httponly", ".AspNetCore.Identity=CfDJ8; path=/; secure; samesite=lax; httponly", ".AspNetCore.Identity=CfDJ8; path=/p/app/; secure; samesite=lax; httponly"),
    ("HAProxy", "SERVERID=s1; path=/; domain=.example.com; domain=.example.org", "SERVERID=s1; path=/", "SERVERID=s1; path=/p/app/"),
    ("a CDN", "__cf_bm=a.b-1; path=/; expires=Sun, 22-Nov-26 12:30:00 GMT; domain=.example.com; HttpOnly; Secure; SameSite=None; Partitioned", "__cf_bm=a.b-1; path=/; expires=Sun, 22-Nov-26 12:30:00 GMT; HttpOnly; Secure; SameSite=None; Partitioned", "__cf_bm=a.b-1; path=/p/app/; expires=Sun, 22-Nov-26 12:30:00 GMT; HttpOnly; Secure; SameSite=None; Partitioned"),
    ("no attributes", "csrf=2", "csrf=2", "csrf=2"),
];

#[test]
fn cookies_of_real_servers() {
    let head = COOKIES
        .iter()
        .fold("HTTP/1.1 200 OK\r\n".to_owned(), |head, (_, value, ..)| {
            format!("{head}Set-Cookie: {value}\r\n")
        });
    let input = format!("{head}Content-Length: 0\r\n\r\n");
    check_rewriting(input.as_bytes());

    let read = responses(input.as_bytes(), [], &Limits::default(), [context(Get)]);
    let Some(Found::Head(head)) = read.found.first() else {
        panic!("{read:?}");
    };
    let passed = |scope| -> Vec<String> {
        let rewrite = ResponseRewrite::new(head).with_cookie_scope(scope);
        let cookies = rewrite.fields().filter(|field| field.is("Set-Cookie"));
        cookies
            .map(|field| String::from_utf8_lossy(field.value).into_owned())
            .collect()
    };
    let at_host = passed(CookieScope::host_only());
    let below = passed(CookieScope::below("/p/app").expect("a path"));
    for (place, (who, _, host, path)) in COOKIES.iter().enumerate() {
        assert_eq!(at_host[place], *host, "{who}");
        assert_eq!(below[place], *path, "{who}");
    }
}

#[test]
fn long_heads() {
    let limits = Limits::default();
    let cookie = format!("session={}; {}", "x".repeat(4_000), "a=b; ".repeat(900));
    let cookies = format!("Cookie: {}\r\n", cookie.trim());
    assert!(cookies.len() > 8 * 1024);
    let fields: String = (0..60).map(|n| format!("X-Field-{n}: {n}\r\n")).collect();
    let token = format!("Authorization: Bearer {}\r\n", "eyJ".repeat(1_500));
    for lines in [
        &cookies,
        &fields,
        &token,
        &format!("{cookies}{fields}{token}"),
    ] {
        let path = format!("/search?q={}", "%20".repeat(1_000));
        let input = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let whole = requests(input.as_bytes(), [], &limits);
        assert_eq!(
            Short::<Server>(&whole).to_string(),
            format!("GET {path} . ")
        );
        let cut = requests(input.as_bytes(), bytewise(input.as_bytes()), &limits);
        assert!(whole.is_same(&cut));

        let set = lines.replace("Cookie", "Set-Cookie");
        let input = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: 0\r\n\r\n");
        let read = responses(input.as_bytes(), [], &limits, [context(Get)]);
        assert_eq!(Short::<Client>(&read).to_string(), "200 . ");
    }
}
