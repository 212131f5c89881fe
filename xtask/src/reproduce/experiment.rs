//! An experiment as a file: a table or figure with its cells.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use learngene_report::data::{Cited, FullScale, Kind, Measure, Scale};
use serde::Deserialize;

use super::setting::Setting;

/// Where the files are, from the root.
pub(crate) const FOLDER: &str = "experiments";

/// The order of the page: what descendants reach, what they are made of, and what goes beyond the paper.
pub(crate) const ORDER: [&str; 19] = [
    "fig3_scale",
    "table1_imagenet",
    "table2_downstream",
    "table3_fractions",
    "fig5_convergence_vit",
    "fig8_convergence_swin",
    "fig1c_densities",
    "table5_order",
    "table7_centroids",
    "table9_schedules",
    "fig6_attention",
    "table6_datasets",
    "front",
    "front_fine_tuned",
    "random_heads",
    "projections",
    "transformations",
    "joined_networks",
    "learngene_size",
];

/// A table or figure.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) id: String,
    pub(crate) item: Option<String>,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) kind: Kind,
    pub(crate) full: FullScale,
    pub(crate) cells: Vec<Cell>,
}

/// One number or curve.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) measure: Measure,
    pub(crate) cited: Option<Cited>,
    desk: Setting,
    paper: Setting,
}

impl Cell {
    /// What its runs at a scale are told.
    pub(crate) fn setting(&self, scale: Scale) -> &Setting {
        match scale {
            Scale::Desk => &self.desk,
            Scale::Paper => &self.paper,
        }
    }
}

/// An experiment as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    item: Option<String>,
    title: String,
    about: String,
    kind: Kind,
    full: FullScale,
    /// Of all cells: at every scale, at one of them.
    #[serde(default)]
    both: Setting,
    #[serde(default)]
    desk: Setting,
    #[serde(default)]
    paper: Setting,
    grids: Vec<Grid>,
    #[serde(default)]
    cited: Vec<CitedCell>,
}

/// Cells: every row in every column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    #[serde(default)]
    both: Setting,
    #[serde(default)]
    desk: Setting,
    #[serde(default)]
    paper: Setting,
    rows: Vec<Line>,
    columns: Vec<Line>,
}

/// A row or a column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    #[serde(default)]
    both: Setting,
    #[serde(default)]
    desk: Setting,
    #[serde(default)]
    paper: Setting,
}

/// The paper's value of a cell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CitedCell {
    row: String,
    column: String,
    value: f64,
    source: String,
}

/// Reads all experiments, in the order of the page; those that [`ORDER`] does not hold come last.
///
/// # Errors
/// When a file cannot be read or does not say what an experiment says.
pub(crate) fn read_all(root: &Path) -> Result<Vec<Experiment>> {
    let folder = root.join(FOLDER);
    let mut ids = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {FOLDER}"))? {
        let name = entry.with_context(|| format!("cannot read {FOLDER}"))?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".toml"));
        ids.extend(id.filter(|id| *id != "ancestors").map(str::to_owned));
    }
    let place = |id: &str| ORDER.iter().position(|known| *known == id).unwrap_or(ORDER.len());
    ids.sort_by(|one, other| (place(one), one).cmp(&(place(other), other)));
    let read = |id: &String| {
        let path = folder.join(id).with_extension("toml");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {FOLDER}/{id}.toml"))?;
        Experiment::parse(id, &text).with_context(|| format!("{FOLDER}/{id}.toml"))
    };
    ids.iter().map(read).collect()
}

impl Experiment {
    /// An experiment as its file has it.
    ///
    /// # Errors
    /// When the text is no experiment, a cell has no measure or is there twice, or a value of the
    /// paper belongs to no cell.
    pub(crate) fn parse(id: &str, text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let mut cells = Vec::new();
        for grid in &file.grids {
            for row in &grid.rows {
                for column in &grid.columns {
                    cells.push(file.cell(grid, row, column)?);
                }
            }
        }
        for (index, cell) in cells.iter().enumerate() {
            let same = |other: &&Cell| {
                (&other.row, &other.column, other.measure)
                    == (&cell.row, &cell.column, cell.measure)
            };
            let is_first = !cells[..index].iter().any(|other| same(&other));
            ensure!(is_first, "the cell `{}`, `{}` is there twice", cell.row, cell.column);
        }
        for cited in &file.cited {
            let is_cell = cells.iter().any(|c| c.row == cited.row && c.column == cited.column);
            ensure!(is_cell, "cited: there is no cell `{}`, `{}`", cited.row, cited.column);
        }
        let File { item, title, about, kind, full, .. } = file;
        Ok(Self { id: id.to_owned(), item, title, about, kind, full, cells })
    }
}

impl File {
    fn cell(&self, grid: &Grid, row: &Line, column: &Line) -> Result<Cell> {
        let parts = [
            (&self.both, &self.desk, &self.paper),
            (&grid.both, &grid.desk, &grid.paper),
            (&column.both, &column.desk, &column.paper),
            (&row.both, &row.desk, &row.paper),
        ];
        let (mut desk, mut paper) = (Setting::default(), Setting::default());
        for (both, at_desk, in_paper) in parts {
            desk = desk.then(both).then(at_desk);
            paper = paper.then(both).then(in_paper);
        }
        let (row, column) = (row.name.clone(), column.name.clone());
        let measure = desk.measure.or(paper.measure);
        let measure = measure.with_context(|| format!("`{row}`, `{column}` has no measure"))?;
        let cited = self.cited.iter().find(|c| c.row == row && c.column == column);
        let cited = cited.map(|c| Cited { value: c.value, source: c.source.clone() });
        Ok(Cell { row, column, measure, cited, desk, paper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        title = "Order"
        about = "Orders are compared."
        kind = "table"
        full = { needs = "GPUs", commands = [] }
        both = { measure = "top1" }
        desk = { recipe = "desk.toml" }
        paper = { recipe = "paper.toml" }
        [[grids]]
        columns = [{ name = "desk ViT", desk.ancestor = "desk-vit", both.expand = "--depth 6" }]
        rows = [
            { name = "priority", desk.quick = true },
            { name = "origin", both.expand = "--order origin" },
        ]
        [[cited]]
        row = "origin"
        column = "desk ViT"
        value = 1.5
        source = "Table 0"
    "#;

    #[test]
    fn a_cell_is_told_what_its_experiment_column_and_row_say() {
        let experiment = Experiment::parse("order", TEXT).expect("an experiment");
        let [priority, origin] = &experiment.cells[..] else { panic!("two cells") };
        let setting = origin.setting(Scale::Desk);
        assert_eq!(setting.expand, "--depth 6 --order origin");
        assert_eq!(setting.ancestor.as_deref(), Some("desk-vit"));
        assert_eq!(setting.recipe.as_deref(), Some("desk.toml"));
        assert_eq!(origin.setting(Scale::Paper).recipe.as_deref(), Some("paper.toml"));
        assert_eq!(origin.setting(Scale::Paper).ancestor, None);
        assert_eq!(origin.cited.as_ref().map(|cited| cited.value), Some(1.5));
        assert_eq!(priority.cited, None);
        assert_eq!(priority.setting(Scale::Desk).quick, Some(true));
        assert_eq!(origin.setting(Scale::Desk).quick, None);
    }

    fn check_error(from: &str, to: &str, expected: &str) {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT, "nothing was replaced");
        let error = format!("{:#}", Experiment::parse("order", &text).expect_err(to));
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_place() {
        check_error("kind = \"table\"", "kind = \"chart\"", "line 4, column 16");
        check_error("desk.quick", "desk.quik", "unknown field `quik`");
        check_error("title = \"Order\"", "", "missing field `title`");
        check_error(
            "\"origin\", both",
            "\"priority\", both",
            "`priority`, `desk ViT` is there twice",
        );
        check_error("measure = \"top1\"", "", "`priority`, `desk ViT` has no measure");
        check_error(
            "row = \"origin\"",
            "row = \"random\"",
            "there is no cell `random`, `desk ViT`",
        );
    }

    fn of_this_repository() -> Vec<Experiment> {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        read_all(root).expect("the files are in the repository")
    }

    #[test]
    fn every_item_of_the_paper_has_its_experiment_in_the_order_of_the_page() {
        let experiments = of_this_repository();
        assert!(experiments.iter().map(|experiment| experiment.id.as_str()).eq(ORDER));
        let items: Vec<&str> = experiments.iter().filter_map(|e| e.item.as_deref()).collect();
        for item in [
            "Fig. 1c", "Table 1", "Fig. 3", "Table 2", "Table 3", "Fig. 5", "Fig. 8", "Table 5",
            "Table 6", "Table 7", "Table 9", "Fig. 6",
        ] {
            assert!(items.contains(&item), "{item}");
        }
    }

    /// Rows and columns that an experiment must have.
    fn check_cells(id: &str, rows: &[&str], columns: &[&str]) {
        let experiments = of_this_repository();
        let cells = &experiments.iter().find(|experiment| experiment.id == id).expect(id).cells;
        for row in rows {
            for column in columns {
                let is_it = |cell: &Cell| cell.row == *row && cell.column.starts_with(column);
                assert!(cells.iter().any(is_it), "{id}: {row}, {column}");
            }
        }
    }

    #[test]
    fn every_row_of_the_paper_is_there() {
        let three = ["Cluster-Learngene", "From-Scratch", "Pretraining-Finetuning"];
        check_cells("fig1c_densities", &["heads kept"], &["DeiT-B", "desk ViT"]);
        check_cells("table1_imagenet", &three[..2], &["DeiT-Ti", "DeiT-S", "DeiT-B", "desk ViT"]);
        for w in ["1", "2"] {
            let rows = [format!("{}, w = {w}", three[0]), format!("{}, w = {w}", three[2])];
            let rows = [rows[0].as_str(), rows[1].as_str()];
            for layers in ["6", "9", "12"] {
                let columns = ["DeiT-Ti", "DeiT-S", "DeiT-B", "desk ViT"];
                let columns = columns.map(|model| format!("{model}, {layers} layers"));
                check_cells("fig3_scale", &rows, &columns.each_ref().map(String::as_str));
            }
        }
        let others = ["Heuristic-Learngene", "Weight-Transformation", "Auto-Learngene"];
        let sets = ["Flowers", "CUB-200", "Cars", "CIFAR-10", "CIFAR-100", "Food-101", "iNat-2019"];
        let sets = sets.map(|set| format!("DeiT-S, {set}"));
        let methods = [&three[..], &others].concat();
        check_cells("table2_downstream", &methods, &sets.each_ref().map(String::as_str));
        let parts = ["DeiT-S, 100 %", "DeiT-S, 50 %", "DeiT-S, 25 %", "desk ViT, 25 %"];
        check_cells("table3_fractions", &three[..2], &parts);
        check_cells("fig5_convergence_vit", &three, &["DeiT-Ti", "DeiT-B", "desk ViT"]);
        check_cells("fig8_convergence_swin", &three, &["Swin-T", "Swin-B", "desk Swin"]);
        let orders = ["priority", "origin", "increasing distance", "decreasing distance"];
        check_cells("table5_order", &orders, &["DeiT-S", "desk ViT"]);
        let ways = ["heads nearest", "heads mean", "heads mean, networks mean"];
        check_cells("table7_centroids", &ways, &["DeiT-S", "desk ViT"]);
        check_cells("table9_schedules", &["decrementing", "incrementing"], &["DeiT-S", "desk ViT"]);
        check_cells("fig6_attention", &["ancestor", "descendant"], &["DeiT-B", "desk ViT"]);
        let sets = ["Flowers", "CUB-200", "Cars", "CIFAR-10", "CIFAR-100", "Food-101", "iNat-2019"];
        check_cells("table6_datasets", &sets, &["training images", "test images", "classes"]);
    }
}
