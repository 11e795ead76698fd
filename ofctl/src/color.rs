//! `--color`: flows as they are printed, with the colours that the stock tool gives to their parts.

use std::io::IsTerminal;

/// Colours, as in the stock tool's defaults.
mod sgr {
    pub(super) const ACTIONS: &str = "1;31";
    pub(super) const DROP: &str = "34";
    pub(super) const LEARN: &str = "31";
    pub(super) const PARAMETER: &str = "36";
    pub(super) const PARENTHESIS: &str = "35";
    pub(super) const SPECIAL: &str = "33";
    pub(super) const VALUE: &str = "32";
}

/// Keys of a flow that stand out.
const SPECIAL_KEYS: &[&str] = &["priority", "table"];
/// Actions whose name stands out.
const SPECIAL_ACTIONS: &[&str] = &[
    "output",
    "load",
    "set_field",
    "move",
    "group",
    "in_port",
    "resubmit",
];
/// Actions in one word that are coloured like brackets.
const BARE: &[&str] = &["dec_ttl", "dec_mpls_ttl"];

/// Whether `--color=WHEN` asks for colours.
pub fn wanted(when: &str) -> Option<bool> {
    match when {
        "always" | "yes" | "force" => Some(true),
        "never" | "no" | "none" => Some(false),
        "auto" | "tty" | "if-tty" => Some(std::io::stdout().is_terminal()),
        _ => None,
    }
}

/// A flow's line with colours.
pub fn flow(line: &str) -> String {
    let mut painter = Painter::default();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if len > 0 && first.is_ascii_alphabetic() && !painter.is_value {
            rest = painter.word(&rest[..len], &rest[len..]);
            continue;
        }
        rest = painter.symbol(first, rest, len);
    }
    painter.out
}

#[derive(Default)]
struct Painter {
    out: String,
    in_actions: bool,
    /// After a key's `=` or `:`: what follows is a value, up to the next separator.
    is_value: bool,
    /// Colours of the brackets that are open; `None`: not coloured.
    brackets: Vec<Option<&'static str>>,
}

impl Painter {
    fn paint(&mut self, sgr: &str, text: &str) {
        self.out
            .push_str(&format!("\x1b[{sgr}m\x1b[K{text}\x1b[m\x1b[K"));
    }

    /// A name and what comes behind it; returns what is left.
    fn word<'t>(&mut self, name: &str, behind: &'t str) -> &'t str {
        let next = behind.chars().next();
        match next {
            Some(sign @ ('=' | ':')) => {
                let sgr = match name {
                    "actions" => sgr::ACTIONS,
                    _ if SPECIAL_KEYS.contains(&name) => sgr::SPECIAL,
                    _ if self.in_actions && SPECIAL_ACTIONS.contains(&name) => sgr::SPECIAL,
                    _ => sgr::PARAMETER,
                };
                self.in_actions |= name == "actions";
                self.is_value = name != "actions";
                match name {
                    "CONTROLLER" => self.out.push_str("CONTROLLER:"),
                    // The stock tool colours this one's name alone.
                    "conj_id" => {
                        self.paint(sgr, name);
                        self.out.push(sign);
                    }
                    _ => self.paint(sgr, &format!("{name}{sign}")),
                }
                &behind[1..]
            }
            Some('(') => {
                let sgr = match name {
                    "learn" => sgr::LEARN,
                    _ => sgr::PARENTHESIS,
                };
                self.paint(sgr, &format!("{name}("));
                self.brackets.push(Some(sgr));
                &behind[1..]
            }
            _ => {
                match name {
                    "drop" => self.paint(sgr::DROP, name),
                    "exit" if self.in_actions => self.paint(sgr::SPECIAL, name),
                    _ if !self.in_actions && !name.contains("_") => self.paint(sgr::VALUE, name),
                    _ if self.in_actions && BARE.contains(&name) => {
                        self.paint(sgr::PARENTHESIS, name);
                    }
                    _ if self.in_actions && name.starts_with(|c: char| c.is_ascii_lowercase()) => {
                        self.paint(sgr::VALUE, name);
                    }
                    _ => self.out.push_str(name),
                }
                behind
            }
        }
    }

    fn symbol<'t>(&mut self, first: char, rest: &'t str, len: usize) -> &'t str {
        if let Some(behind) = rest.strip_prefix("->") {
            self.paint(sgr::SPECIAL, "->");
            return behind;
        }
        if len > 0 {
            self.out.push_str(&rest[..len]);
            return &rest[len..];
        }
        match first {
            ',' | ' ' => self.is_value = false,
            '(' => self.brackets.push(None),
            ')' => {
                self.is_value = false;
                if let Some(Some(sgr)) = self.brackets.pop() {
                    self.paint(sgr, ")");
                    return &rest[1..];
                }
            }
            _ => {}
        }
        self.out.push(first);
        &rest[first.len_utf8()..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `\x1b[33m\x1b[K` becomes `<33:`, its end `>`.
    fn short(line: &str) -> String {
        let out = flow(line).replace("\x1b[m\x1b[K", ">");
        out.replace("m\x1b[K", ":").replace("\x1b[", "<")
    }

    #[test]
    fn parts_have_the_stock_colours() {
        for (line, want) in [
            (
                " priority=11,udp actions=drop",
                " <33:priority=>11,<32:udp> <1;31:actions=><34:drop>",
            ),
            (
                " cookie=0x5, table=1, ip,nw_src=1.0.0.0/8 actions=load:0x1->NXM_NX_REG0[0..3],resubmit(,3),dec_ttl,NORMAL",
                " <36:cookie=>0x5, <33:table=>1, <32:ip>,<36:nw_src=>1.0.0.0/8 <1;31:actions=><33:load:>0x1<33:->>NXM_NX_REG0[0..3],<35:resubmit(>,3<35:)>,<35:dec_ttl>,NORMAL",
            ),
            (
                "actions=mod_dl_src:00:00:00:00:00:01,clone(output:2)",
                "<1;31:actions=><36:mod_dl_src:>00:00:00:00:00:01,<35:clone(><33:output:>2<35:)>",
            ),
        ] {
            assert_eq!(short(line), want);
        }
    }
}
