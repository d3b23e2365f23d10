//! A file that is followed.

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use gateway::config::model::Discovery;

use crate::support::{
    directory::Directory,
    follow::{Followed, start},
};

const ONE: &str = "endpoints = [\"http://10.0.0.1:80\"]\n";
const TWO: &str = "endpoints = [\n  \"http://10.0.0.1:80\",\n  { url = \"https://10.0.0.2\", weight = 2, zone = \"b\" },\n]\n";

fn follow(path: PathBuf) -> Followed {
    let interval = Duration::from_millis(20);
    start(Discovery::File { path, interval })
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_again() {
    let directory = Directory::new();
    directory.replace("endpoints.toml", ONE);
    let mut followed = follow(directory.join("endpoints.toml"));
    assert!(followed.following.first_answer().await);
    followed.until(&["10.0.0.1=10.0.0.1:80"]).await;
    directory.replace("endpoints.toml", TWO);
    followed
        .until(&["10.0.0.1=10.0.0.1:80", "10.0.0.2=10.0.0.2:443*2@b"])
        .await;
    directory.replace("endpoints.toml", "endpoints = []");
    followed.until(&[]).await;
    followed.stop().await;
}

#[tokio::test]
async fn a_symbolic_link_that_is_swapped_is_followed() {
    // As Kubernetes updates a config map.
    let directory = Directory::new();
    for (version, content) in [("v1", ONE), ("v2", TWO)] {
        fs::create_dir(directory.join(version)).unwrap();
        fs::write(directory.join(version).join("endpoints.toml"), content).unwrap();
    }
    symlink("v1", directory.join("data")).unwrap();
    symlink("data/endpoints.toml", directory.join("endpoints.toml")).unwrap();
    let mut followed = follow(directory.join("endpoints.toml"));
    followed.until(&["10.0.0.1=10.0.0.1:80"]).await;
    symlink("v2", directory.join("data.new")).unwrap();
    fs::rename(directory.join("data.new"), directory.join("data")).unwrap();
    followed
        .until(&["10.0.0.1=10.0.0.1:80", "10.0.0.2=10.0.0.2:443*2@b"])
        .await;
}

#[tokio::test]
async fn whatever_is_broken_keeps_the_last_good_set() {
    let directory = Directory::new();
    let path = directory.join("endpoints.toml");
    fs::write(&path, TWO).unwrap();
    let mut followed = follow(path.clone());
    let both = ["10.0.0.1=10.0.0.1:80", "10.0.0.2=10.0.0.2:443*2@b"];
    followed.until(&both).await;

    // Half-written, without the last bracket.
    let half = &TWO[..TWO.len() - 3];
    for (content, why) in [
        (half, "is not TOML"),
        ("", "is empty"),
        ("10.0.0.1:80\n10.0.0.2:80\n", "is not TOML"),
        ("\u{0}\u{1}rubbish", "is not TOML"),
        ("endpoints = [\"10.0.0.9\"]", "endpoint 1"),
    ] {
        fs::write(&path, content).unwrap();
        let status = followed
            .status(why, |status| {
                let error = status.last_error.as_deref();
                error.is_some_and(|error| error.contains(why))
            })
            .await;
        assert_eq!(status.endpoints, 2);
        let succeeded = status.succeeded;
        assert_eq!(
            followed.failures(2).await.succeeded,
            succeeded,
            "a broken file is not a success"
        );
        fs::write(&path, TWO).unwrap();
        followed
            .status("it has recovered", |status| status.last_error.is_none())
            .await;
    }

    fs::remove_file(&path).unwrap();
    followed.failures(2).await;
    fs::create_dir(&path).unwrap();
    let status = followed.status("it is a directory", |status| {
        status
            .last_error
            .as_deref()
            .is_some_and(|error| error.contains("is not a file"))
    });
    status.await;
    assert_eq!(
        followed.history().len(),
        1,
        "nothing else was ever published"
    );

    fs::remove_dir(&path).unwrap();
    fs::write(&path, ONE).unwrap();
    followed.until(&["10.0.0.1=10.0.0.1:80"]).await;
}

#[tokio::test]
async fn a_file_that_comes_late_is_found() {
    let directory = Directory::new();
    let mut followed = follow(directory.join("endpoints.toml"));
    followed.failures(2).await;
    assert!(followed.history().is_empty());
    assert!(
        !followed.following.first_answer().await,
        "start-up does not wait for it"
    );
    directory.replace("endpoints.toml", ONE);
    followed.until(&["10.0.0.1=10.0.0.1:80"]).await;
}

#[tokio::test]
async fn a_file_of_more_than_a_mebibyte_is_refused() {
    let directory = Directory::new();
    directory.replace(
        "endpoints.toml",
        &format!("#{}\n{ONE}", "x".repeat(1 << 20)),
    );
    let mut followed = follow(directory.join("endpoints.toml"));
    let status = followed.failures(1).await;
    assert!(status.last_error.unwrap().contains("larger than"));
}
