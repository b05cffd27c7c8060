//! The command that reads a published table where it lies.

use crate::config::upload::{AzureDestination, BlobAuth, Upload};
use crate::publish::summary::Published;
use crate::publish::version;

/// How to read the first table that was published.
pub(super) fn command(published: &Published, upload: &Upload) -> String {
    if let Some(hub) = &upload.destination.hub {
        return format!("python -c \"from datasets import load_dataset; print(load_dataset('{}'))\"", hub.repo);
    }
    let tables = [("conversations", "data"), ("situations", "situations")];
    let folder = tables.iter().find(|(table, _)| published.rows.contains_key(*table)).map_or("personas", |(_, at)| *at);
    let path = format!("{}{folder}", version::prefix(&published.dataset, &published.version));
    match (&upload.destination.folder, &upload.destination.azure) {
        (Some(root), _) => format!("duckdb -c \"from '{}/*.parquet'\"", root.join(path).display()),
        (None, Some(azure)) => with_pandas(azure, &path),
        (None, None) => path,
    }
}

/// With pandas and adlfs, which take every way of signing in. DuckDB takes none of them from the environment.
fn with_pandas(azure: &AzureDestination, path: &str) -> String {
    format!(
        "python -c \"import os, pandas; print(pandas.read_parquet('abfs://{}/{path}', storage_options={}))\"   # pip install pandas pyarrow adlfs",
        azure.container,
        options(azure)
    )
}

/// What adlfs signs in with. Secrets are taken from the environment, as they were to publish.
fn options(azure: &AzureDestination) -> String {
    let variable = |name: &str| format!("os.environ['{name}']");
    let account = azure.account.clone().unwrap_or_else(|| {
        let endpoint = azure.endpoint.as_deref().unwrap_or_default();
        endpoint
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .and_then(|host| host.split('.').next())
            .unwrap_or_default()
            .to_owned()
    });
    let endpoint = azure.endpoint.clone().unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let connection = |secret: String| format!("{{'connection_string': {secret}}}");
    match azure.auth {
        BlobAuth::ConnectionString | BlobAuth::Auto => connection(variable(&azure.connection_string_env)),
        BlobAuth::AccountKey => connection(format!(
            "'BlobEndpoint={endpoint};AccountName={account};AccountKey=' + {}",
            variable(&azure.account_key_env)
        )),
        BlobAuth::Sas => {
            connection(format!("'BlobEndpoint={endpoint};SharedAccessSignature=' + {}", variable(&azure.sas_env)))
        }
        BlobAuth::Entra => format!("{{'account_name': '{account}', 'anon': False}}"),
    }
}
