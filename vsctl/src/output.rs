//! What commands print: lines, tables and the tree of `show`, as text in the stock formats or as JSON.

use ovsdb::schema::{BaseType, ColumnType};
use ovsdb::{Atom, AtomType, Datum, Uuid};
use serde_json::{Value, json};

/// How output looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// One line per command.
    pub oneline: bool,
    /// Tables have headings.
    pub headings: bool,
    /// The format of tables.
    pub table: TableFormat,
    /// The format of values in tables.
    pub data: DataFormat,
    /// The widest column of [`TableFormat::Table`].
    pub max_width: Option<usize>,
    /// JSON on many lines.
    pub pretty: bool,
    /// JSON for everything.
    pub json: bool,
}

impl Default for Style {
    fn default() -> Self {
        let (table, data) = (TableFormat::List, DataFormat::String);
        Self {
            oneline: false,
            headings: true,
            table,
            data,
            max_width: None,
            pretty: false,
            json: false,
        }
    }
}

/// Formats of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Aligned columns.
    Table,
    /// One line per cell.
    List,
    /// An HTML table.
    Html,
    /// RFC 4180.
    Csv,
    /// An object with headings and data.
    Json,
}

impl TableFormat {
    /// The words of `--format`.
    pub const WORDS: &[(&str, Self)] = &[
        ("table", Self::Table),
        ("list", Self::List),
        ("html", Self::Html),
        ("csv", Self::Csv),
        ("json", Self::Json),
    ];
}

/// Formats of values in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFormat {
    /// As they are typed.
    String,
    /// Without brackets and quotes.
    Bare,
    /// RFC 7047.
    Json,
}

impl DataFormat {
    /// The words of `--data`.
    pub const WORDS: &[(&str, Self)] = &[
        ("string", Self::String),
        ("bare", Self::Bare),
        ("json", Self::Json),
    ];
}

/// One piece of output.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Text as it is.
    Text(String),
    /// A value of a column.
    Datum(ColumnType, Datum),
}

impl Cell {
    /// A value of no particular column.
    pub fn atom(atom: Atom) -> Self {
        Self::Datum(
            ColumnType::scalar(BaseType::any(atom.atom_type())),
            Datum::scalar(atom),
        )
    }

    /// The UUID of a row.
    pub fn uuid(uuid: Uuid) -> Self {
        Self::Datum(
            ColumnType::scalar(BaseType::any(AtomType::Uuid)),
            Datum::scalar(uuid),
        )
    }

    /// The text in the given format.
    pub fn text(&self, format: DataFormat) -> String {
        match (self, format) {
            (Self::Text(text), _) => text.clone(),
            (Self::Datum(ty, datum), DataFormat::String) => ty.print(datum),
            (Self::Datum(_, datum), DataFormat::Json) => datum.to_json().to_string(),
            (Self::Datum(_, datum), DataFormat::Bare) => {
                let pairs = datum
                    .pairs()
                    .map(|(key, value)| format!("{}={}", bare(key), bare(value)));
                datum
                    .atoms()
                    .map(bare)
                    .chain(pairs)
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    /// Plain JSON: a scalar is itself, an optional is it or null, a set an array, a map an object.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Datum(_, Datum::Map(map)) => Value::Object(
                map.iter()
                    .map(|(key, value)| (bare(key), atom_json(value)))
                    .collect(),
            ),
            Self::Datum(ty, Datum::Set(set)) if ty.max == Some(1) => {
                set.first().map_or(Value::Null, atom_json)
            }
            Self::Datum(_, Datum::Set(set)) => set.iter().map(atom_json).collect(),
        }
    }
}

fn bare(atom: &Atom) -> String {
    atom.as_str()
        .map_or_else(|| atom.to_string(), str::to_owned)
}

fn atom_json(atom: &Atom) -> Value {
    match atom {
        Atom::Uuid(uuid) => json!(uuid.to_string()),
        atom => atom.to_json(),
    }
}

/// Rows of cells.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The name of each column.
    pub headings: Vec<String>,
    /// As many cells each as there are headings.
    pub rows: Vec<Vec<Cell>>,
}

/// A row of `show` with what hangs below it.
#[derive(Debug, Clone)]
pub struct Node {
    /// The table and the column with the name; the root has neither.
    pub kind: Option<(&'static str, &'static str)>,
    /// The name, or the root's UUID.
    pub name: Cell,
    /// What is known about it, in order.
    pub items: Vec<Item>,
}

/// One thing about a [`Node`].
#[derive(Debug, Clone)]
pub enum Item {
    /// A column's value.
    Value(&'static str, Cell),
    /// The rows that a column refers to.
    Nodes(&'static str, Vec<Node>),
}

impl Node {
    fn lines(&self, indent: usize, lines: &mut Vec<String>) {
        let margin = " ".repeat(indent);
        let name = self.name.text(DataFormat::String);
        lines.push(match self.kind {
            Some((table, _)) => format!("{margin}{table} {name}"),
            None => format!("{margin}{name}"),
        });
        for item in &self.items {
            match item {
                Item::Value(column, cell) => lines.push(format!(
                    "{margin}    {column}: {}",
                    cell.text(DataFormat::String)
                )),
                Item::Nodes(_, nodes) => {
                    nodes.iter().for_each(|node| node.lines(indent + 4, lines))
                }
            }
        }
    }

    fn to_json(&self) -> Value {
        let name = self.kind.map_or("_uuid", |(_, column)| column);
        let items = self.items.iter().map(|item| match item {
            Item::Value(column, cell) => ((*column).to_owned(), cell.to_json()),
            Item::Nodes(column, nodes) => (
                (*column).to_owned(),
                nodes.iter().map(Self::to_json).collect(),
            ),
        });
        Value::Object(
            [(name.to_owned(), self.name.to_json())]
                .into_iter()
                .chain(items)
                .collect(),
        )
    }
}

/// All that one command prints.
#[derive(Debug, Clone)]
pub enum Output {
    /// Nothing.
    None,
    /// A line per cell.
    Lines(Vec<Cell>),
    /// A table.
    Table(Table),
    /// The tree of `show`.
    Tree(Node),
}

impl Output {
    /// Lines of plain text.
    pub fn lines<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Self {
        Self::Lines(
            lines
                .into_iter()
                .map(|line| Cell::Text(line.into()))
                .collect(),
        )
    }

    fn to_json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Lines(cells) => cells.iter().map(Cell::to_json).collect(),
            Self::Tree(node) => node.to_json(),
            Self::Table(table) => {
                let row = |row: &Vec<Cell>| -> Value {
                    let names = table.headings.iter().cloned();
                    Value::Object(names.zip(row.iter().map(Cell::to_json)).collect())
                };
                table.rows.iter().map(row).collect()
            }
        }
    }
}

/// The text of all outputs of a run.
pub fn render(outputs: &[Output], style: &Style) -> String {
    let mut text = String::new();
    let mut tables = 0;
    for output in outputs {
        let lines = match output {
            _ if style.json => vec![json_text(&output.to_json(), style)],
            Output::Table(table) => {
                if tables > 0
                    && matches!(
                        style.table,
                        TableFormat::List | TableFormat::Table | TableFormat::Csv
                    )
                {
                    text.push('\n');
                }
                tables += 1;
                table.render(style, &mut text);
                continue;
            }
            Output::None => Vec::new(),
            Output::Lines(cells) => cells
                .iter()
                .map(|cell| cell.text(DataFormat::String))
                .collect(),
            Output::Tree(node) => {
                let mut lines = Vec::new();
                node.lines(0, &mut lines);
                lines
            }
        };
        match style.oneline && !style.json {
            true => text += &(lines.join("\n").replace('\\', "\\\\").replace('\n', "\\n") + "\n"),
            false => lines.iter().for_each(|line| text.extend([line, "\n"])),
        }
    }
    text
}

fn json_text(json: &Value, style: &Style) -> String {
    match style.pretty {
        true => format!("{json:#}"),
        false => json.to_string(),
    }
}

impl Table {
    fn render(&self, style: &Style, out: &mut String) {
        let rows = || {
            self.rows.iter().map(|row| {
                row.iter()
                    .map(|cell| cell.text(style.data))
                    .collect::<Vec<_>>()
            })
        };
        match style.table {
            TableFormat::List => self.render_list(rows(), style.headings, out),
            TableFormat::Table => self.render_table(rows().collect(), style, out),
            TableFormat::Csv => {
                let headings = style.headings.then(|| self.headings.clone());
                for row in headings.into_iter().chain(rows()) {
                    let row: Vec<_> = row.iter().map(|cell| csv(cell)).collect();
                    out.extend([row.join(",").as_str(), "\n"]);
                }
            }
            TableFormat::Html => {
                out.push_str("<table border=1>\n");
                if style.headings {
                    html_row("th", &self.headings, out);
                }
                rows().for_each(|row| html_row("td", &row, out));
                out.push_str("</table>\n");
            }
            TableFormat::Json => {
                let cell = |cell: &Cell| match cell {
                    Cell::Text(text) => json!(text),
                    Cell::Datum(_, datum) => datum.to_json(),
                };
                let data: Value = self
                    .rows
                    .iter()
                    .map(|row| row.iter().map(cell).collect::<Value>())
                    .collect();
                let json = json!({ "headings": self.headings, "data": data });
                out.extend([json_text(&json, style).as_str(), "\n"]);
            }
        }
    }

    fn render_list(
        &self,
        rows: impl Iterator<Item = Vec<String>>,
        headings: bool,
        out: &mut String,
    ) {
        for (index, row) in rows.enumerate() {
            if index > 0 {
                out.push('\n');
            }
            for (heading, cell) in self.headings.iter().zip(row) {
                *out += &if headings {
                    format!("{heading:20}: {cell}\n")
                } else {
                    cell + "\n"
                };
            }
        }
    }

    fn render_table(&self, mut rows: Vec<Vec<String>>, style: &Style, out: &mut String) {
        let count = |text: &str| text.chars().count();
        let mut widths: Vec<_> = self
            .headings
            .iter()
            .map(|heading| if style.headings { count(heading) } else { 0 })
            .collect();
        for row in &mut rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                if let Some(max) = style.max_width {
                    *cell = cell.chars().take(max.max(*width)).collect();
                }
                *width = count(cell).max(*width);
            }
        }
        if style.headings {
            rows.insert(0, self.headings.clone());
            rows.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
        }
        for row in rows {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            out.extend([cells.join(" ").trim_end(), "\n"]);
        }
    }
}

fn csv(cell: &str) -> String {
    match cell.contains(['"', ',', '\n', '\r', '\t']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

fn html_row(tag: &str, cells: &[String], out: &mut String) {
    out.push_str("  <tr>\n");
    for cell in cells {
        let text = cell
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        *out += &format!("    <{tag}>{text}</{tag}>\n");
    }
    out.push_str("  </tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(max: Option<usize>) -> ColumnType {
        ColumnType {
            key: BaseType::any(AtomType::String),
            value: None,
            min: 0,
            max,
        }
    }

    fn table() -> Output {
        let name = |name: &str| Cell::atom(name.into());
        let rows = vec![
            vec![
                name("p1"),
                Cell::Datum(strings(None), Datum::set(["a,b", "c"])),
            ],
            vec![name("x y"), Cell::Datum(strings(Some(1)), Datum::empty())],
        ];
        Output::Table(Table {
            headings: vec!["name".into(), "mcast_snooping_enable".into()],
            rows,
        })
    }

    fn rendered(table: TableFormat, data: DataFormat) -> String {
        render(
            &[self::table()],
            &Style {
                table,
                data,
                ..Style::default()
            },
        )
    }

    #[test]
    fn tables() {
        let list = "name                : p1\nmcast_snooping_enable: [\"a,b\", c]\n\nname                : \"x y\"\nmcast_snooping_enable: []\n";
        assert_eq!(rendered(TableFormat::List, DataFormat::String), list);
        let table = "name mcast_snooping_enable\n---- ---------------------\np1   a,b c\nx y\n";
        assert_eq!(rendered(TableFormat::Table, DataFormat::Bare), table);
        let csv = "name,mcast_snooping_enable\np1,\"[\"\"a,b\"\", c]\"\n\"\"\"x y\"\"\",[]\n";
        assert_eq!(rendered(TableFormat::Csv, DataFormat::String), csv);
        assert!(
            rendered(TableFormat::Html, DataFormat::String)
                .contains("    <td>[&quot;a,b&quot;, c]</td>\n")
        );
        let json = "{\"data\":[[\"p1\",[\"set\",[\"a,b\",\"c\"]]],[\"x y\",[\"set\",[]]]],\"headings\":[\"name\",\"mcast_snooping_enable\"]}\n";
        assert_eq!(rendered(TableFormat::Json, DataFormat::String), json);
    }

    #[test]
    fn several_outputs() {
        let outputs = [
            Output::lines(["a\\", "b"]),
            Output::None,
            table(),
            Output::lines(["c"]),
        ];
        let style = Style {
            oneline: true,
            headings: false,
            data: DataFormat::Bare,
            ..Style::default()
        };
        assert_eq!(
            render(&outputs, &style),
            "a\\\\\\nb\n\np1\na,b c\n\nx y\n\nc\n"
        );
        let style = Style {
            json: true,
            ..Style::default()
        };
        let json = "[\"a\\\\\",\"b\"]\nnull\n[{\"mcast_snooping_enable\":[\"a,b\",\"c\"],\"name\":\"p1\"},{\"mcast_snooping_enable\":null,\"name\":\"x y\"}]\n[\"c\"]\n";
        assert_eq!(render(&outputs, &style), json);
        let empty = Output::Table(Table::default());
        assert_eq!(
            render(&[empty.clone(), Output::None, empty], &Style::default()),
            "\n"
        );
    }

    #[test]
    fn trees() {
        let port = Node {
            kind: Some(("Port", "name")),
            name: Cell::atom("p1".into()),
            items: vec![Item::Value("tag", Cell::atom(5.into()))],
        };
        let root = Node {
            kind: None,
            name: Cell::uuid(Uuid::nil()),
            items: vec![Item::Nodes("ports", vec![port])],
        };
        let text = format!("{}\n    Port p1\n        tag: 5\n", Uuid::nil());
        assert_eq!(
            render(&[Output::Tree(root.clone())], &Style::default()),
            text
        );
        let json = json!({"_uuid": Uuid::nil().to_string(), "ports": [{"name": "p1", "tag": 5}]});
        assert_eq!(Output::Tree(root).to_json(), json);
    }
}
