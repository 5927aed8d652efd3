//! A client of the YAML language server, as an editor is one: it opens documents, and waits for what
//! the server says about each.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long the server may take for a document.
const WAIT: Duration = Duration::from_secs(60);

/// A language server that runs.
pub(crate) struct LanguageServer {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    settings: Value,
}

/// What the server says about a place of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Diagnostic {
    /// The line, from 1.
    pub(crate) line: u64,
    pub(crate) message: String,
}

impl LanguageServer {
    /// Starts the server. `schemas` maps the URI of a schema to patterns of files.
    pub(crate) fn start(node: &Path, server: &Path, schemas: Value) -> LanguageServer {
        let mut process = Command::new(node)
            .arg(server)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let settings = json!({
            "validate": true,
            "schemas": schemas,
            // Nothing is fetched.
            "schemaStore": {"enable": false},
            "kubernetesCRDStore": {"enable": false},
        });
        let input = process.stdin.take().unwrap();
        let mut client = LanguageServer {
            process,
            input,
            messages,
            settings,
        };
        client.initialize();
        client
    }

    fn initialize(&mut self) {
        let capabilities = json!({"workspace": {"configuration": true}});
        self.send(json!({
            "id": 1, "method": "initialize",
            "params": {"processId": null, "rootUri": null, "capabilities": capabilities},
        }));
        let deadline = Instant::now() + WAIT;
        while self.receive(deadline)["id"] != 1 {}
        self.send(json!({"method": "initialized", "params": {}}));
        let settings = json!({"settings": {"yaml": self.settings}});
        self.send(json!({"method": "workspace/didChangeConfiguration", "params": settings}));
    }

    /// Opens a document and returns what the server says about it.
    pub(crate) fn diagnose(&mut self, path: &Path, text: &str) -> Vec<Diagnostic> {
        let uri = format!("file://{}", path.display());
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.send(json!({
            "method": "textDocument/didOpen", "params": {"textDocument": document},
        }));
        let deadline = Instant::now() + WAIT;
        loop {
            let message = self.receive(deadline);
            let params = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics" && params["uri"] == *uri {
                let found = params["diagnostics"].as_array().unwrap().iter();
                return found.map(diagnostic).collect();
            }
        }
    }

    /// Returns the next message, after it has answered the server's own requests.
    fn receive(&mut self, deadline: Instant) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = self
            .messages
            .recv_timeout(left)
            .expect("the language server answers in time");
        if let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) {
            let result = match method {
                "workspace/configuration" => {
                    let items = message["params"]["items"].as_array().unwrap().iter();
                    items
                        .map(|item| match item["section"].as_str() {
                            Some("yaml") => self.settings.clone(),
                            _ => json!({}),
                        })
                        .collect()
                }
                _ => Value::Null,
            };
            self.send(json!({"id": id, "result": result}));
        }
        message
    }

    fn send(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }
}

impl Drop for LanguageServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn diagnostic(value: &Value) -> Diagnostic {
    Diagnostic {
        line: value["range"]["start"]["line"].as_u64().unwrap() + 1,
        message: value["message"].as_str().unwrap().to_owned(),
    }
}

/// Reads a message: headers, an empty line, and as many bytes as a header says.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        output.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim().split_once(": ") {
            Some(("Content-Length", number)) => length = number.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
