//! Another protocol over a connection with TLS.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{gateway, listener};
use crate::support::{pki::Authority, poll::soon};

#[tokio::test]
async fn an_upgrade_goes_through_tls() {
    let authority = Authority::new();
    let files = authority.sign(&["shop.example"]).files();
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("url = \"http://{}\"", upstream.local_addr().unwrap());
    let gateway = gateway(&listener(&files), &url).await;
    let serving = tokio::spawn(async move {
        let (mut stream, _) = upstream.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello";
        stream.write_all(switch).await.unwrap();
        let mut said = [0; 7];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let address = gateway.listener("secure");
    let mut stream = authority
        .connect(address, "shop.example", &["http/1.1"])
        .await;
    let asking = b"GET /socket HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let exchange = async {
        stream.write_all(asking).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\nhello") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream.write_all(b"and you").await.unwrap();
        let mut echoed = [0; 7];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"and you");
    };
    soon("the exchange", exchange).await;
    let asked = serving.await.unwrap().to_ascii_lowercase();
    assert!(asked.contains("upgrade: websocket"), "{asked}");
    assert!(asked.contains("x-forwarded-proto: https"), "{asked}");
}
