//! A reproduction: runs what is missing of a selection, and writes what all came to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use learngene_report::data::{AttentionMap, Data, Measure, Outcome, Recipe};
use serde_json::Value;

use super::{
    Options,
    experiment::{Cell, Experiment},
    ledger::{Ledger, Missing},
    measure::{measure, not_run, plans, steps},
    pipeline::{Pipeline, Plan},
    progress::{Progress, time},
    report::{self, Found},
    step::Step,
    write,
};
use crate::{
    learngene::{Learngene, Line},
    workspace::Workspace,
};

/// Everything that the steps of a reproduction share.
pub(crate) struct Reproduction<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) learngene: &'a Learngene,
    pub(crate) ledger: &'a Ledger<'a>,
    pub(crate) pipeline: Pipeline<'a>,
    pub(crate) options: &'a Options,
}

/// A cell with its runs, or why it has none.
struct Job<'a> {
    cell: &'a Cell,
    is_wanted: bool,
    is_selected: bool,
    plans: Result<Vec<Plan>>,
    /// For each run seconds of what is missing, where anything is.
    missing: Vec<Option<f64>>,
}

impl<'a> Reproduction<'a> {
    /// Says what would be run.
    pub(crate) fn plan(&self, experiments: &'a [Experiment]) -> Result<()> {
        let mut all = Vec::new();
        for (experiment, jobs) in experiments.iter().zip(self.jobs(experiments)) {
            let missing: Vec<f64> =
                jobs.iter().flat_map(|job| &job.missing).copied().flatten().collect();
            let (cells, selected) = (jobs.len(), jobs.iter().filter(|job| job.is_selected).count());
            let seconds = time(missing.iter().sum());
            let runs = missing.len();
            println!(
                "{:24} {selected:3} of {cells:3} cells, {runs:3} runs, {seconds}",
                experiment.id
            );
            let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
            let selected = jobs.iter().filter(|job| job.is_selected);
            for reason in selected.filter_map(|job| job.plans.as_ref().err()) {
                *reasons.entry(format!("{reason:#}")).or_default() += 1;
            }
            reasons.iter().for_each(|(reason, cells)| println!("    {cells} not run: {reason}"));
            all.extend(missing);
        }
        println!("{} runs, {} on two idle cores", all.len(), time(all.iter().sum()));
        Ok(())
    }

    /// Runs what is missing of the selection; writes the report after each experiment.
    ///
    /// # Errors
    /// At the end, where a run failed, and where the report cannot be written or drawn.
    pub(crate) fn run(&self, experiments: &'a [Experiment]) -> Result<()> {
        let jobs = self.jobs(experiments);
        let estimates: Vec<f64> =
            jobs.iter().flatten().flat_map(|job| &job.missing).copied().flatten().collect();
        let mut progress = Progress::new(&estimates);
        let mut failed = Vec::new();
        self.ledger.allow(false);
        let found = experiments.iter().zip(&jobs);
        let mut found: Vec<Found<'_>> = found
            .map(|(experiment, jobs)| {
                let outcomes = jobs.iter().map(|job| self.outcome(job)).collect();
                self.found(experiment, jobs, outcomes)
            })
            .collect();
        for (index, (experiment, jobs)) in experiments.iter().zip(&jobs).enumerate() {
            if !self.options.wants(experiment) {
                continue;
            }
            self.ledger.allow(true);
            let mut outcomes = Vec::new();
            for job in jobs {
                if let Err(error) = self.carry_out(experiment, job, &mut progress) {
                    failed.push(format!("{}: {error:#}", name(experiment, job.cell)));
                }
                self.ledger.allow(false);
                outcomes.push(self.outcome(job));
                self.ledger.allow(true);
            }
            found[index] = self.found(experiment, jobs, outcomes);
            failed.extend(self.write(&mut found)?);
        }
        let page = self.draw();
        let page = page.inspect_err(|error| failed.push(format!("the page: {error:#}")));
        if let Ok(page) = page {
            eprintln!("open {}", page.display());
        }
        failed.dedup();
        if failed.is_empty() {
            return Ok(());
        }
        failed.iter().for_each(|failure| eprintln!("failed: {failure}"));
        bail!("{} failed; what was run is in the report", failed.len())
    }

    fn jobs(&self, experiments: &'a [Experiment]) -> Vec<Vec<Job<'a>>> {
        let mut counted = BTreeSet::new();
        let of = |experiment: &'a Experiment| {
            experiment.cells.iter().map(|cell| self.job(experiment, cell, &mut counted)).collect()
        };
        experiments.iter().map(of).collect()
    }

    fn job(
        &self,
        experiment: &Experiment,
        cell: &'a Cell,
        counted: &mut BTreeSet<String>,
    ) -> Job<'a> {
        let is_quick = cell.setting(self.pipeline.scale).quick == Some(true);
        let is_wanted = self.options.wants(experiment);
        let is_selected = is_wanted && (self.options.full || is_quick);
        let plans = plans(cell, &self.pipeline, self.options.seeds);
        let missing = match &plans {
            Ok(plans) if is_selected => {
                plans.iter().map(|plan| self.missing(plan, counted)).collect()
            }
            _ => Vec::new(),
        };
        Job { cell, is_wanted, is_selected, plans, missing }
    }

    /// Seconds of what is missing of a run and no other run before it counts.
    fn missing(&self, plan: &Plan, counted: &mut BTreeSet<String>) -> Option<f64> {
        fn add(step: &Step, ledger: &Ledger<'_>, counted: &mut BTreeSet<String>) -> f64 {
            if ledger.has(step) || !counted.insert(ledger.key(step)) {
                return 0.0;
            }
            let before: f64 = step.inputs().map(|input| add(input, ledger, counted)).sum();
            before + step.seconds
        }
        let seconds: f64 = steps(plan).map(|step| add(step, self.ledger, counted)).sum();
        (seconds > 0.0).then_some(seconds)
    }

    /// Runs what is missing of a cell.
    fn carry_out(
        &self,
        experiment: &Experiment,
        job: &Job<'_>,
        progress: &mut Progress,
    ) -> Result<()> {
        let (true, Ok(plans)) = (job.is_selected, &job.plans) else { return Ok(()) };
        for (plan, missing) in plans.iter().zip(&job.missing) {
            if let Some(seconds) = missing {
                let what = format!("{}, seed {}", name(experiment, job.cell), plan.seed);
                progress.next(&what, *seconds);
            }
            for step in steps(plan) {
                self.ledger.result(step)?;
            }
            steps(plan).for_each(|step| self.ledger.tidy(step));
        }
        Ok(())
    }

    /// What the ledger has of a cell.
    fn outcome(&self, job: &Job<'_>) -> Outcome {
        let plans = match &job.plans {
            Ok(plans) => plans,
            Err(reason) => return not_run(reason),
        };
        match measure(job.cell, plans, self.ledger) {
            Ok(measured) => Outcome::Run(measured),
            Err(error) if error.is::<Missing>() => {
                let reason = match (job.is_wanted, job.is_selected) {
                    (false, _) => "left out by --only",
                    (true, false) => "not in the quick selection, but with --full",
                    (true, true) => "not run yet",
                };
                let reason = reason.to_owned();
                Outcome::NotRun { reason }
            }
            Err(error) => not_run(&error),
        }
    }

    /// An experiment with images and recipe of its first run that is there.
    fn found(
        &self,
        experiment: &'a Experiment,
        jobs: &[Job<'_>],
        outcomes: Vec<Outcome>,
    ) -> Found<'a> {
        let maps = BTreeMap::new();
        let mut found = Found { experiment, outcomes, data: None, recipe: None, maps };
        for (job, outcome) in jobs.iter().zip(&found.outcomes) {
            let (Ok(plans), Outcome::Run(measured)) = (&job.plans, outcome) else { continue };
            let setting = job.cell.setting(self.pipeline.scale);
            if setting.maps.is_some() {
                let ancestor = setting.ancestor.clone().unwrap_or_default();
                found.maps.entry(ancestor).or_default().extend(self.maps(job.cell, plans));
            }
            let Some(name) = setting.data.as_ref().filter(|_| setting.count.is_none()) else {
                continue;
            };
            let count = |field| self.pipeline.inputs.count(name, field).unwrap_or_default();
            found.data.get_or_insert_with(|| Data {
                name: name.clone(),
                train_images: count("train"),
                test_images: count("test"),
                classes: count("classes"),
            });
            if job.cell.measure != Measure::Top1 || found.recipe.is_some() {
                continue;
            }
            let printed = plans.first().and_then(|plan| self.ledger.result(&plan.value).ok());
            let recipe = printed.unwrap_or_default()["recipe"].take();
            let last = measured.runs.first().and_then(|run| run.evaluations.last());
            let number =
                |field: &str| recipe.get(field).and_then(Value::as_u64).unwrap_or_default();
            found.recipe = Some(Recipe {
                file: setting.recipe.clone().unwrap_or_default(),
                epochs: number("epochs"),
                batch_size: number("batch_size"),
                steps: last.map(|evaluation| evaluation.step).unwrap_or_default(),
            });
        }
        found
    }

    /// The attention maps that the first run of a cell printed, under the cell's name.
    fn maps(&self, cell: &Cell, plans: &[Plan]) -> Vec<AttentionMap> {
        let printed = plans.first().and_then(|plan| self.ledger.result(&plan.value).ok());
        let maps: Vec<AttentionMap> =
            printed.and_then(|printed| serde_json::from_value(printed).ok()).unwrap_or_default();
        maps.into_iter().map(|map| AttentionMap { model: cell.row.clone(), ..map }).collect()
    }

    /// Writes `report.json`; returns what failed while ancestors were described.
    fn write(&self, found: &mut [Found<'_>]) -> Result<Vec<String>> {
        let mut failed = Vec::new();
        let mut ancestors = Vec::new();
        for ancestor in self.pipeline.ancestors {
            if !report::uses(found, &ancestor.id) {
                continue;
            }
            match self.pipeline.describe(ancestor, self.ledger) {
                Ok(mut described) => {
                    let maps = found.iter().filter_map(|found| found.maps.get(&ancestor.id));
                    described.attention = maps.flatten().cloned().collect();
                    ancestors.push(described);
                }
                Err(error) => {
                    report::leave_out(found, &ancestor.id, &error);
                    failed.push(format!("{}: {error:#}", ancestor.name));
                }
            }
        }
        let report = report::report(
            self.options.command(),
            commit(&self.workspace.root),
            self.pipeline.scale,
            ancestors,
            found,
        );
        learngene_report::check(&report)?;
        let text = serde_json::to_string_pretty(&report).context("a report is plain data")?;
        write(&self.workspace.root.join(self.file("report.json")), &(text + "\n"))?;
        Ok(failed)
    }

    /// Draws the page.
    fn draw(&self) -> Result<PathBuf> {
        let page = self.file("report.html");
        let line = Line::new("report").arg(self.file("report.json").display()).path("out", &page);
        self.learngene.told(&line)?;
        Ok(page)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.ledger.folder().join(name)
    }
}

/// A cell as progress and errors name it.
fn name(experiment: &Experiment, cell: &Cell) -> String {
    format!("{}: {}, {}", experiment.id, cell.row, cell.column)
}

/// The commit that is checked out, and whether files differ from it.
fn commit(root: &Path) -> Option<String> {
    let args = ["describe", "--always", "--dirty", "--exclude", "*"];
    let commit = crate::program::Program::new("git", root).args(args).output().ok()?;
    Some(commit.trim().to_owned())
}
