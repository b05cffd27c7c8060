//! What a run keeps on disk. Nothing here knows of language models.

pub mod fs;
