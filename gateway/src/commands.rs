//! `gateway check`, `gateway explain`, `gateway schema`.

use clap::{Arg, ArgAction, ArgMatches};
use service_kit::{
    commands::{Answer, Command, Run},
    config::Loaded,
};

use crate::config::{
    explain::{self, Explanation, Request},
    keys::{reference, schema},
    model::Gateway,
};

/// All of them.
pub(crate) const ALL: &[Command<Gateway>] = &[
    Command {
        name: "check",
        about: "Validate the configuration: exit status 0 if it is right, 2 with every error if it is not",
        arguments: Vec::new,
        run: Run::Check,
    },
    Command {
        name: "explain",
        about: "Show what becomes of a request: route, upstream, endpoints and every guard, with where each number comes from. \
                Exit status 1 if no route takes it",
        arguments: explain_arguments,
        run: Run::Configured(explain_request),
    },
    Command {
        name: "schema",
        about: "Print the JSON Schema of the configuration, for editors",
        arguments: schema_arguments,
        run: Run::Plain(print_schema),
    },
];

fn explain_arguments() -> Vec<Arg> {
    vec![
        Arg::new("path")
            .value_name("PATH")
            .required(true)
            .help("The request's path, or its whole address"),
        Arg::new("host")
            .long("host")
            .value_name("HOST")
            .help("The host it asks for"),
        Arg::new("method")
            .long("method")
            .short('X')
            .value_name("METHOD")
            .default_value("GET")
            .help("Its method"),
        Arg::new("header")
            .long("header")
            .short('H')
            .value_name("NAME=VALUE")
            .action(ArgAction::Append)
            .help("A header of it (may be given many times)"),
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("Answer in JSON"),
    ]
}

fn explain_request(matches: &ArgMatches, loaded: &Loaded<Gateway>) -> Answer {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let headers = matches
        .get_many::<String>("header")
        .into_iter()
        .flatten()
        .map(String::as_str);
    let request = Request::parse(
        text("path").unwrap_or_default(),
        text("host"),
        text("method").unwrap_or("GET"),
        headers,
    );
    let explanation = match request {
        Ok(request) => explain::explain(loaded, &request),
        Err(error) => {
            return Answer {
                text: format!("{error}\n"),
                status: 2,
            };
        }
    };
    let is_routed = matches!(explanation, Explanation::Own | Explanation::Routed(_));
    let text = if matches.get_flag("json") {
        // It is made of texts and numbers, which always can be written.
        serde_json::to_string_pretty(&explanation).unwrap_or_default() + "\n"
    } else {
        explanation.to_string()
    };
    Answer {
        text,
        status: u8::from(!is_routed),
    }
}

fn schema_arguments() -> Vec<Arg> {
    vec![
        Arg::new("markdown")
            .long("markdown")
            .action(ArgAction::SetTrue)
            .help("Print the tables of the reference (docs/gateway/configuration.md) instead"),
    ]
}

fn print_schema(matches: &ArgMatches) -> Answer {
    let text = if matches.get_flag("markdown") {
        reference::markdown()
    } else {
        schema::text()
    };
    Answer { text, status: 0 }
}
