//! The Azure destination, as a library has it, against a real Azurite. What the program makes of it is tested in `publish`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use convogen::ExitCode;
use convogen::config::environment::Environment;
use convogen::config::upload::AzureDestination;
use convogen::publish::azure::Container;
use convogen::publish::blob::{Created, OnBytes, Tag};
use convogen::publish::error::PublishError;
use convogen::store::part::FileEntry;
use crc_fast::CrcAlgorithm;
use http_body_util::Full;
use hyper::Request;

use crate::inside::support::azurite::{ACCOUNT, Azurite, KEY};
use crate::inside::support::sas::account_sas;
use crate::inside::support::wire::send;

const CONTAINER: &str = "convogen";

const SMALL_BLOCKS: &str = r#","block_mib":1,"concurrency":2"#;

/// The container of an Azurite, with further settings in JSON.
fn open(azurite: &Azurite, more: &str) -> Container {
    let settings = format!(r#"{{"container":"{CONTAINER}","endpoint":"{}"{more}}}"#, azurite.endpoint());
    let settings: AzureDestination = serde_json::from_str(&settings).unwrap();
    let string = ("AZURE_STORAGE_CONNECTION_STRING".to_owned(), azurite.connection_string(azurite.address()));
    Container::open(&settings, &Environment::new([string], Path::new("no/such/.env")).unwrap()).unwrap()
}

/// Bytes sent and bytes found there.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<(u64, u64)>>);

impl Count {
    fn on_bytes(&self) -> OnBytes {
        let count = self.clone();
        Arc::new(move |bytes, sent| {
            let mut count = count.0.lock().unwrap();
            if sent { count.0 += bytes } else { count.1 += bytes }
        })
    }

    fn take(&self) -> (u64, u64) {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A file that repeats nothing within a block.
fn file(folder: &Path, name: &str, bytes: u64) -> (PathBuf, FileEntry) {
    let path = folder.join(name);
    let mut content = Vec::new();
    for number in 0..bytes.div_ceil(8) {
        content.extend_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
    }
    content.truncate(usize::try_from(bytes).unwrap());
    std::fs::write(&path, content).unwrap();
    let entry = FileEntry::of(folder, name, None).unwrap();
    (path, entry)
}

#[tokio::test]
async fn what_is_written_is_listed_read_replaced_and_removed() {
    let Some(azurite) = Azurite::start() else { return };
    let container = open(&azurite, "");
    assert_eq!(container.describe(), format!("container convogen at {}", azurite.endpoint()));
    container.prepare().await.unwrap();
    container.prepare().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let count = Count::default();
    for (name, bytes) in [("README.md", 1000), ("empty.jsonl", 0), ("data b.parquet", 3000)] {
        let (source, entry) = file(folder.path(), name, bytes);
        let path = format!("demo/v/{name}");
        assert_eq!(container.create(&path, &source, &entry, &count.on_bytes()).await.unwrap(), Created::Written);
        assert_eq!(count.take(), (bytes, 0));
        assert_eq!(container.create(&path, &source, &entry, &count.on_bytes()).await.unwrap(), Created::AlreadyThere);
        assert_eq!(count.take(), (0, bytes));
        let (size, hash) = container.hash(&path, &count.on_bytes()).await.unwrap().unwrap();
        assert_eq!((size, &hash), (bytes, &entry.sha256));
        assert_eq!(container.read(&path).await.unwrap().unwrap().0, std::fs::read(&source).unwrap());
        count.take();
    }
    let listed = container.list("demo/v/").await.unwrap();
    let paths: Vec<&str> = listed.iter().map(|blob| blob.path.as_str()).collect();
    assert_eq!(paths, ["demo/v/README.md", "demo/v/data b.parquet", "demo/v/empty.jsonl"]);
    assert!(listed.iter().all(|blob| blob.sha256.as_ref().is_some_and(|hash| hash.len() == 64)));
    assert!(container.list("demo/w").await.unwrap().is_empty());
    assert!(container.read("demo/none").await.unwrap().is_none());
    assert!(container.hash("demo/none", &count.on_bytes()).await.unwrap().is_none());

    let (other, entry) = file(folder.path(), "other", 999);
    let error = container.create("demo/v/README.md", &other, &entry, &count.on_bytes()).await.unwrap_err();
    assert!(matches!(error, PublishError::Conflict { .. }) && error.to_string().contains("1000 bytes"), "{error}");

    container.swap("demo/latest.json", b"one", None).await.unwrap();
    let (content, first) = container.read("demo/latest.json").await.unwrap().unwrap();
    assert_eq!(content, b"one");
    container.swap("demo/latest.json", b"two", Some(&first)).await.unwrap();
    container.swap("demo/latest.json", b"two", Some(&first)).await.expect("its own work is no conflict");
    for expected in [None, Some(&first), Some(&Tag("\"0x0\"".to_owned()))] {
        let error = container.swap("demo/latest.json", b"three", expected).await.unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Conflict, "{error}");
    }
    let error = container.swap("demo/none.json", b"x", Some(&first)).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Conflict, "{error}");
    for _ in 0..2 {
        container.delete("demo/v/README.md").await.unwrap();
    }
    assert_eq!(container.list("demo/v/").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_large_file_goes_in_blocks_and_goes_on_where_it_stopped() {
    let Some(azurite) = Azurite::start() else { return };
    let container = open(&azurite, SMALL_BLOCKS);
    container.prepare().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (source, entry) = file(folder.path(), "large", (5 << 20) + 77);
    let count = Count::default();
    // An upload that ends after two blocks.
    let stop: OnBytes = {
        let count = count.clone();
        let on_bytes = count.on_bytes();
        Arc::new(move |bytes, sent| {
            on_bytes(bytes, sent);
            if count.0.lock().unwrap().0 >= 2 << 20 {
                std::panic::resume_unwind(Box::new("stop"));
            }
        })
    };
    let cut_off = {
        let (container, source, entry) = (open(&azurite, SMALL_BLOCKS), source.clone(), entry.clone());
        tokio::spawn(async move { container.create("demo/large", &source, &entry, &stop).await })
    };
    assert!(cut_off.await.unwrap_err().is_panic());
    let (sent_before, _) = count.take();
    assert!(container.list("").await.unwrap().is_empty(), "nothing half is visible");
    assert_eq!(container.create("demo/large", &source, &entry, &count.on_bytes()).await.unwrap(), Created::Written);
    let (sent, found) = count.take();
    assert!(found >= sent_before && sent + found == entry.bytes, "{sent_before} then {sent} and {found}");
    let (bytes, hash) = container.hash("demo/large", &count.on_bytes()).await.unwrap().unwrap();
    assert_eq!((bytes, hash), (entry.bytes, entry.sha256));
}

/// A request beside the client, with a signature that may do anything.
async fn ask(azurite: &Azurite, method: &str, path: &str, query: &str, crc64: Option<[u8; 8]>, body: &[u8]) -> u16 {
    let target = format!("/{ACCOUNT}/{CONTAINER}/{path}?{query}&{}", account_sas(ACCOUNT, KEY));
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", azurite.address().to_string())
        .header("x-ms-version", "2022-11-02")
        .header("x-ms-blob-type", "BlockBlob");
    if let Some(crc) = crc64 {
        request = request.header("x-ms-content-crc64", STANDARD.encode(crc));
    }
    send(azurite.address(), request.body(Full::new(body.to_vec().into())).unwrap()).await.unwrap().status.as_u16()
}

/// What makes the checksum worth sending: the right one is taken, a wrong one is not.
#[tokio::test]
async fn a_checksum_that_does_not_fit_is_refused() {
    let Some(azurite) = Azurite::start() else { return };
    open(&azurite, "").prepare().await.unwrap();
    let right = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, b"content").to_le_bytes();
    let mut wrong = right;
    wrong[0] ^= 1;
    for (path, query) in [("block", "comp=block&blockid=YQ%3D%3D"), ("blob", "timeout=30")] {
        assert_eq!(ask(&azurite, "PUT", path, query, Some(wrong), b"content").await, 400, "{path}");
        assert_eq!(ask(&azurite, "PUT", path, query, Some(right), b"content").await, 201, "{path}");
    }
}

#[tokio::test]
async fn blocks_of_another_tool_are_no_obstacle_unless_their_ids_are_too_short() {
    let Some(azurite) = Azurite::start() else { return };
    let container = open(&azurite, SMALL_BLOCKS);
    container.prepare().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (source, entry) = file(folder.path(), "large", (2 << 20) + 5);
    let count = Count::default();
    for length in [16_usize, 36, 64] {
        let path = format!("foreign-{length}");
        let id: String = url::form_urlencoded::byte_serialize(STANDARD.encode(vec![b'x'; length]).as_bytes()).collect();
        assert_eq!(ask(&azurite, "PUT", &path, &format!("comp=block&blockid={id}"), None, b"theirs").await, 201);
        assert_eq!(container.create(&path, &source, &entry, &count.on_bytes()).await.unwrap(), Created::Written);
        let hashed = container.hash(&path, &count.on_bytes()).await.unwrap().unwrap();
        assert_eq!(hashed, (entry.bytes, entry.sha256.clone()));
    }
    assert_eq!(ask(&azurite, "PUT", "short", "comp=block&blockid=YQ%3D%3D", None, b"theirs").await, 201);
    let error = container.create("short", &source, &entry, &count.on_bytes()).await.unwrap_err();
    assert!(error.to_string().contains("another tool"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_what_its_manifest_says_is_not_sent() {
    let Some(azurite) = Azurite::start() else { return };
    let container = open(&azurite, SMALL_BLOCKS);
    container.prepare().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let count = Count::default();
    let (small, mut entry) = file(folder.path(), "small", 1000);
    entry.sha256 = "0".repeat(64);
    let error = container.create("small", &small, &entry, &count.on_bytes()).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Damage, "{error}");
    let (large, entry) = file(folder.path(), "large", 3 << 20);
    std::fs::OpenOptions::new().write(true).open(&large).unwrap().set_len(2 << 20).unwrap();
    let error = container.create("large", &large, &entry, &count.on_bytes()).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Damage, "{error}");
    // Changed while it is sent.
    let (large, entry) = file(folder.path(), "changing", 3 << 20);
    let change: OnBytes = {
        let large = large.clone();
        Arc::new(move |_, _| {
            use std::os::unix::fs::FileExt;
            std::fs::OpenOptions::new().write(true).open(&large).unwrap().write_all_at(b"x", 7).unwrap();
        })
    };
    let error = container.create("changing", &large, &entry, &change).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Damage, "{error}");
    assert!(container.list("").await.unwrap().is_empty());
    assert_eq!(count.take(), (0, 0));
}

#[tokio::test]
async fn md5_is_kept_with_the_blob_where_it_is_asked_for() {
    let Some(azurite) = Azurite::start() else { return };
    let container = open(&azurite, r#","block_mib":1,"checksum":"md5""#);
    container.prepare().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let count = Count::default();
    for (name, bytes) in [("one-block", 1000), ("blocks", 3 << 20)] {
        let (source, entry) = file(folder.path(), name, bytes);
        container.create(name, &source, &entry, &count.on_bytes()).await.unwrap();
        let page = azurite_page(&azurite).await;
        let expected = STANDARD.encode(<md5::Md5 as md5::Digest>::digest(std::fs::read(&source).unwrap()));
        assert!(page.contains(&format!("<Content-MD5>{expected}</Content-MD5>")), "{page}");
    }
}

async fn azurite_page(azurite: &Azurite) -> String {
    let target = format!("/{ACCOUNT}/{CONTAINER}?restype=container&comp=list&{}", account_sas(ACCOUNT, KEY));
    let request =
        Request::get(target).header("host", azurite.address().to_string()).header("x-ms-version", "2022-11-02");
    send(azurite.address(), request.body(Full::default()).unwrap()).await.unwrap().text()
}
