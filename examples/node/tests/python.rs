//! Is a directory that Python serves seen through the gateway, and at the root of a forwarded port?

use std::fs;

use support::{
    node::{Node, Pair},
    program::{Curl, python_server, require},
};

mod support;

#[tokio::test]
async fn a_directory_is_listed_under_both_kinds_of_url() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a file.txt"), "what is in it\n").unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    let (Some(curl), Some(python)) = (Curl::find(), require(&["python3"])) else {
        return;
    };
    let (_python, target) = python_server(&python, directory.path()).await;
    let pair = Pair::start(&target).await;
    let forward = Node::forward(&pair.origin, "app").await;
    let root = format!("http://{}", forward.http("forward "));
    let direct = curl.run([&target]).await.text();
    for base in [pair.url(""), root] {
        let listing = curl.run([format!("{base}/")]).await.text();
        assert_eq!(listing, direct, "{base}");
        assert!(listing.contains("a%20file.txt"), "{listing}");
        let file = curl.run([format!("{base}/a%20file.txt")]).await.text();
        assert_eq!(file, "what is in it\n", "{base}");
        let head = curl
            .run(["--head", &format!("{base}/a%20file.txt")])
            .await
            .text();
        assert!(head.contains("Content-Length: 14\r\n"), "{base}: {head}");
        let missing = curl
            .run(["--write-out", "%{http_code}", &format!("{base}/none")])
            .await;
        assert!(missing.text().ends_with("404"), "{base}: {missing}");
        // A redirect of Python names a path of its own, so it works where the service has the root.
        let moved = curl
            .run([
                "--write-out",
                "%{http_code} %{redirect_url}",
                &format!("{base}/sub"),
            ])
            .await;
        assert!(moved.text().starts_with("301 "), "{base}: {moved}");
    }
}
