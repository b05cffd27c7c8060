//! Which part of a run this process makes: by a flag, or by the number that a Kubernetes Indexed Job or a Slurm array gives it.

use clap::Args;

use super::failure::Failure;
use crate::config::Shard;
use crate::config::environment::Environment;
use crate::exit::ExitCode;

/// Where jobs find their number: a Kubernetes Indexed Job, a Slurm array.
const INDEX: [&str; 2] = ["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"];

/// One part of a run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ShardArgs {
    /// Make part I of N, counted from 0, in a run directory of its own: RUN_DIR-I-of-N
    #[arg(long, value_name = "I/N", conflicts_with = "shards")]
    pub shard: Option<String>,
    /// Of how many parts this is one, its number being that of the job.
    #[arg(
        long,
        value_name = "N",
        help = "The same, with the part's number from JOB_COMPLETION_INDEX (Kubernetes) or SLURM_ARRAY_TASK_ID"
    )]
    pub shards: Option<u64>,
}

impl ShardArgs {
    /// The setting that these flags stand for; nothing where the run has one part.
    ///
    /// # Errors
    /// If they say no part, or contradict each other.
    pub(crate) fn setting(&self, environment: &Environment) -> Result<Option<String>, Failure> {
        let shard = match (&self.shard, self.shards) {
            (Some(text), _) => parsed(text)?,
            (None, Some(count)) => Shard { index: numbered(environment)?, count },
            (None, None) => return Ok(None),
        };
        if let Some(fault) = shard.fault() {
            let said = if self.shard.is_some() { "--shard" } else { "--shards" };
            return Err(usage(format!("{said}: {fault}")));
        }
        let Shard { index, count } = shard;
        Ok(Some(format!("shard={{index: {index}, count: {count}}}")))
    }
}

fn parsed(text: &str) -> Result<Shard, Failure> {
    let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    let (index, count) =
        numbers.ok_or_else(|| usage(format!("--shard {text}: write I/N, such as 0/4 for the first of four parts")))?;
    Ok(Shard { index, count })
}

/// The number that the job was given.
fn numbered(environment: &Environment) -> Result<u64, Failure> {
    let given = INDEX.into_iter().filter_map(|name| Some((name, environment.var(name)?))).collect::<Vec<_>>();
    let (name, text) = match given.as_slice() {
        [] => {
            return Err(usage(format!(
                "--shards: neither {} is set; give the part as --shard I/N",
                INDEX.join(" nor ")
            )));
        }
        [(one, a), (other, b)] if a != b => {
            return Err(usage(format!(
                "--shards: {one} says {a} and {other} says {b}; unset one of them, or give --shard I/N"
            )));
        }
        [first, ..] => first,
    };
    text.parse().map_err(|_| usage(format!("--shards: {name} is {text:?}, which is no number of a part")))
}

fn usage(message: String) -> Failure {
    Failure::new(ExitCode::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(shard: Option<&str>, shards: Option<u64>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Environment::new(variables, "/nowhere/.env".as_ref()).unwrap();
        let args = ShardArgs { shard: shard.map(str::to_owned), shards };
        args.setting(&environment).map_err(|failure| failure.message)
    }

    #[test]
    fn a_part_is_named_by_the_flag_or_by_the_job() {
        let part = |index: u64| Ok(Some(format!("shard={{index: {index}, count: 4}}")));
        assert_eq!(setting(None, None, &[("JOB_COMPLETION_INDEX", "1")]), Ok(None));
        assert_eq!(setting(Some("3/4"), None, &[("JOB_COMPLETION_INDEX", "1")]), part(3));
        assert_eq!(setting(None, Some(4), &[("JOB_COMPLETION_INDEX", "1")]), part(1));
        assert_eq!(setting(None, Some(4), &[("SLURM_ARRAY_TASK_ID", "0")]), part(0));
        assert_eq!(setting(None, Some(4), &[("JOB_COMPLETION_INDEX", "2"), ("SLURM_ARRAY_TASK_ID", "2")]), part(2));
    }

    #[test]
    fn what_names_no_part_or_two_is_refused() {
        let both = [("JOB_COMPLETION_INDEX", "1"), ("SLURM_ARRAY_TASK_ID", "2")];
        let told = [
            setting(Some("4/4"), None, &[]),
            setting(Some("0/0"), None, &[]),
            setting(Some("one"), None, &[]),
            setting(Some("-1/4"), None, &[]),
            setting(None, Some(4), &[]),
            setting(None, Some(4), &both),
            setting(None, Some(4), &[("SLURM_ARRAY_TASK_ID", "4")]),
            setting(None, Some(4), &[("SLURM_ARRAY_TASK_ID", "x")]),
        ];
        insta::assert_snapshot!(told.map(Result::unwrap_err).join("\n"), @r#"
        --shard: there is no part 4 of 4: parts count from 0 to 3
        --shard: a run has at least one part
        --shard one: write I/N, such as 0/4 for the first of four parts
        --shard -1/4: write I/N, such as 0/4 for the first of four parts
        --shards: neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set; give the part as --shard I/N
        --shards: JOB_COMPLETION_INDEX says 1 and SLURM_ARRAY_TASK_ID says 2; unset one of them, or give --shard I/N
        --shards: there is no part 4 of 4: parts count from 0 to 3
        --shards: SLURM_ARRAY_TASK_ID is "x", which is no number of a part
        "#);
    }
}
