//! A page as pieces: prose, and fenced blocks with what they are for.
//!
//! The rule: a block says what it is by its language and the words behind it (`console exit=1`), and
//! the file that it is by the line before it. The pieces joined are the page, byte for byte, so that
//! outputs can be written back.

use std::path::{Path, PathBuf};

/// A piece of a page.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// Lines outside of blocks, with the number of the first.
    Prose {
        text: String,
        line: usize,
    },
    Block(Block),
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) attributes: Vec<String>,
    /// The file that the line before the block names, as in `` `policies/shop.yaml`: ``.
    pub(crate) file: Option<String>,
    /// Its lines, without the indentation of a list.
    pub(crate) text: String,
    /// The number of its first line on the page.
    pub(crate) line: usize,
    indentation: String,
    opening: String,
    closing: String,
}

impl Block {
    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|one| one == attribute)
    }

    /// The value of an attribute such as `exit=1`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
    }

    fn draw(&self, page: &mut String) {
        page.push_str(&self.opening);
        for line in self.text.split_inclusive('\n') {
            if line != "\n" {
                page.push_str(&self.indentation);
            }
            page.push_str(line);
        }
        page.push_str(&self.closing);
    }
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    /// Its path in the repository.
    pub(crate) name: String,
    pub(crate) pieces: Vec<Piece>,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Page {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(super::repository()).unwrap_or(path);
        let name = name.to_string_lossy().into_owned();
        let pieces = pieces(&text, &name);
        let page = Page {
            path: path.to_owned(),
            name,
            pieces,
        };
        assert_eq!(
            page.draw(),
            text,
            "{}: the pieces are not the page",
            page.name
        );
        page
    }

    /// Returns the text of the page.
    pub(crate) fn draw(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Prose { text: prose, .. } => text.push_str(prose),
                Piece::Block(block) => block.draw(&mut text),
            }
        }
        text
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Prose { .. } => None,
        })
    }

    /// Whether a command wrote the page.
    pub(crate) fn is_generated(&self) -> bool {
        let Some(Piece::Prose { text, .. }) = self.pieces.first() else {
            return false;
        };
        text.starts_with("<!-- Generated")
    }
}

/// The file that a line announces.
fn announced(prose: &str) -> Option<String> {
    let last = prose.trim_end().lines().last()?.trim();
    let name = last.strip_prefix('`')?.strip_suffix("`:")?;
    (!name.contains(['`', ' '])).then(|| name.to_owned())
}

fn pieces(text: &str, name: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut prose, mut prose_line) = (String::new(), 1);
    let mut open: Option<Block> = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_start_matches(' ');
        let indentation = &line[..line.len() - bare.len()];
        match &mut open {
            None if bare.starts_with("```") => {
                let mut words = bare.trim_start_matches('`').split_whitespace();
                let language = words.next().unwrap_or_default().to_owned();
                open = Some(Block {
                    language,
                    attributes: words.map(str::to_owned).collect(),
                    file: announced(&prose),
                    text: String::new(),
                    line: number + 2,
                    indentation: indentation.to_owned(),
                    opening: line.to_owned(),
                    closing: String::new(),
                });
                pieces.push(Piece::Prose {
                    text: std::mem::take(&mut prose),
                    line: prose_line,
                });
            }
            None => prose.push_str(line),
            Some(block) if bare.trim_end() == "```" && indentation == block.indentation => {
                block.closing = line.to_owned();
                pieces.extend(open.take().map(Piece::Block));
                prose_line = number + 2;
            }
            Some(block) => {
                let inner = line.strip_prefix(block.indentation.as_str());
                block.text.push_str(inner.unwrap_or(bare));
            }
        }
    }
    assert!(open.is_none(), "{name}: a block does not end: {open:?}");
    pieces.push(Piece::Prose {
        text: prose,
        line: prose_line,
    });
    pieces
}

/// A command of a `console` block, and the output that the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// As the page has it, with its continuations, without the prompt.
    pub(crate) command: String,
    pub(crate) output: String,
    /// The number of its line within the block.
    pub(crate) line: usize,
}

/// Takes a `console` block apart. A command begins with `$ `. It continues behind a `\` at the end
/// of a line, and to the end of a here-document.
pub(crate) fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continues: Option<String> = None;
    for (number, line) in block.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if let (Some(end), Some(step)) = (&continues, steps.last_mut()) {
            step.command.push_str(line);
            let is_over = if end == "\\" {
                !bare.ends_with('\\')
            } else {
                bare == end
            };
            if is_over {
                continues = None;
            }
        } else if let Some(command) = line.strip_prefix("$ ") {
            continues = match bare.split_once("<<") {
                Some((_, word)) => {
                    let word: String = word
                        .trim_start_matches(['\'', '"', '-', ' '])
                        .chars()
                        .take_while(char::is_ascii_alphanumeric)
                        .collect();
                    Some(word)
                }
                None => bare.ends_with('\\').then(|| "\\".to_owned()),
            };
            steps.push(Step {
                command: command.to_owned(),
                output: String::new(),
                line: number,
            });
        } else if let Some(step) = steps.last_mut() {
            step.output.push_str(line);
        }
    }
    for step in &mut steps {
        step.command = step.command.trim_end().to_owned();
    }
    steps
}

#[test]
fn commands_and_outputs_are_told_apart() {
    let step = |command: &str, output: &str, line| Step {
        command: command.to_owned(),
        output: output.to_owned(),
        line,
    };
    let cases = [
        ("$ ls\na\nb\n", vec![step("ls", "a\nb\n", 0)]),
        (
            "$ cp a \\\n    b\n$ true\n",
            vec![step("cp a \\\n    b", "", 0), step("true", "", 2)],
        ),
        (
            "$ cat > a <<'EOF'\n$ x\nEOF\n$ cat a\n$ x\n",
            vec![
                step("cat > a <<'EOF'\n$ x\nEOF", "", 0),
                step("cat a", "", 3),
                step("x", "", 4),
            ],
        ),
    ];
    for (block, expected) in cases {
        assert_eq!(steps(block), expected, "{block}");
    }
}

#[test]
fn a_block_has_its_file_and_its_attributes() {
    let text = "# A\n\n`a/b.yaml`:\n\n```yaml\nx: 1\n```\n\n1. Do:\n\n   ```console exit=1 slow\n   $ false\n\n   ```\nEnd.\n";
    let pieces = pieces(text, "a page");
    let blocks: Vec<&Block> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Block(block) => Some(block),
            Piece::Prose { .. } => None,
        })
        .collect();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0].file.as_deref(), Some("a/b.yaml"));
    assert_eq!(blocks[0].line, 6);
    assert_eq!(blocks[1].text, "$ false\n\n");
    assert_eq!(blocks[1].value("exit"), Some("1"));
    assert!(blocks[1].has("slow") && !blocks[0].has("slow"));
}
