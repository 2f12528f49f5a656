//! `users`, `check` and `auth`: who is calling, and how much room there is.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::account::Account;
use crate::args::Args;
use crate::errors::Failure;

/// Checks that a route without argument got none.
fn expect_void(arg: &Value) -> Result<(), Failure> {
    match arg {
        Value::Null => Ok(()),
        _ => Err(Failure::Argument("expected null, got object".into())),
    }
}

pub(super) fn root_info(account: &Account) -> Value {
    match &account.team {
        Some((namespace, _)) => json!({
            ".tag": "team",
            "root_namespace_id": namespace,
            "home_namespace_id": account.namespace,
            "home_path": "/Gate Keeper",
        }),
        None => json!({
            ".tag": "user",
            "root_namespace_id": account.namespace,
            "home_namespace_id": account.namespace,
        }),
    }
}

pub(super) fn current_account(call: &mut Call) -> Result<Answer, Failure> {
    expect_void(&call.arg)?;
    Ok(json!({
        "account_id": call.account.account_id,
        "name": {
            "given_name": "Gate",
            "surname": "Keeper",
            "familiar_name": "Gate",
            "display_name": "Gate Keeper",
            "abbreviated_name": "GK",
        },
        "email": "gate@example.org",
        "email_verified": true,
        "disabled": false,
        "country": "DE",
        "locale": "en",
        "referral_link": "https://db.tt/ZITNuhtI",
        "is_paired": false,
        "account_type": {".tag": "basic"},
        "root_info": root_info(call.account),
    })
    .into())
}

pub(super) fn space_usage(call: &mut Call) -> Result<Answer, Failure> {
    expect_void(&call.arg)?;
    let tree = &call.account.tree;
    Ok(json!({
        "used": tree.used,
        "allocation": {".tag": "individual", "allocated": tree.quota},
    })
    .into())
}

pub(super) fn echo(call: &mut Call) -> Result<Answer, Failure> {
    let args = Args::of(&call.arg, &["query"])?;
    let query = if args.has("query") {
        args.text("query")?
    } else {
        ""
    };
    if query.chars().count() > 500 {
        return Err(Failure::Argument(
            "query: must be at most 500 characters".into(),
        ));
    }
    Ok(json!({ "result": query }).into())
}

pub(super) fn revoke(call: &mut Call) -> Result<Answer, Failure> {
    expect_void(&call.arg)?;
    call.account.oauth.revoke(&call.token);
    Ok(Value::Null.into())
}
