//! The same transactions on our server and on the stock `ovsdb-server` (Debian's openvswitch-common): equal results.
//! (Two lines where ours is clearer are left out: an undefined uuid-name, and an element twice in a set.)
//! Compared are values, counts and error words; UUIDs by their order, and the texts for humans not at all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ovsdb::database::Database;
use ovsdb::jsonrpc::Message;
use ovsdb::server::{Limits, Server};
use ovsdb::{Output, SessionId, open_vswitch};
use serde_json::{Value, json};

/// One transaction a line, run one after the other on the same database.
const TRANSACTIONS: &str = r#"
{"op":"insert","table":"Open_vSwitch","row":{}}
{"op":"insert","table":"Open_vSwitch","row":{}}
{"op":"insert","table":"Bridge","row":{"name":"lost"}}
{"op":"select","table":"Bridge","where":[]}
{"op":"insert","table":"Interface","row":{"name":"i"},"uuid-name":"i"},{"op":"insert","table":"Port","row":{"name":"p","interfaces":["named-uuid","i"]},"uuid-name":"p"},{"op":"insert","table":"Bridge","row":{"name":"b","ports":["named-uuid","p"]},"uuid-name":"b"},{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","x"]]]},{"op":"insert","table":"Bridge","row":{"name":"b2"},"uuid-name":"x"},{"op":"comment","comment":"used before it is defined"}
{"op":"insert","table":"Bridge","row":{"name":"b"},"uuid-name":"b"},{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]}
{"op":"insert","table":"QoS","row":{},"uuid-name":"q"},{"op":"insert","table":"QoS","row":{},"uuid-name":"q"}
{"op":"select","table":"Bridge","where":[["name","==","b"]],"columns":["name","fail_mode","flood_vlans","other_config","stp_enable"]}
{"op":"select","table":"Bridge","where":[["name","!=","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["nam","!=","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["name","~","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["name","<","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["name","==",3]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["name","=="]],"columns":["name"]}
{"op":"select","table":"Nothing","where":[]}
{"op":"select","table":"Bridge"}
{"op":"select","table":"Bridge","where":[],"columns":["name"],"extra":1}
{"op":"nothing"}
{"table":"Bridge"}
7
{"op":"update","table":"Bridge","where":[["name","==","b"]],"row":{"fail_mode":"secure","flood_vlans":["set",[1,2,3]],"other_config":["map",[["a","b"],["c","d"]]]}}
{"op":"select","table":"Bridge","where":[["flood_vlans","includes",["set",[1,3]]]],"columns":["name","flood_vlans"]}
{"op":"select","table":"Bridge","where":[["flood_vlans","includes",["set",[1,4]]]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["flood_vlans","excludes",["set",[4,5]]],["name","==","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["flood_vlans","excludes",["set",[3,5]]],["name","==","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["other_config","includes",["map",[["a","b"]]]]],"columns":["name","other_config"]}
{"op":"select","table":"Bridge","where":[["other_config","includes",["map",[["a","x"]]]]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["other_config","excludes",["map",[["a","x"]]]],["name","==","b"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["fail_mode","==","secure"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["fail_mode","==",["set",[]]]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[["fail_mode","includes","secure"]],"columns":["name"]}
{"op":"select","table":"Open_vSwitch","where":[["cur_cfg","<=",0]],"columns":["cur_cfg"]}
{"op":"select","table":"Open_vSwitch","where":[["cur_cfg",">",0]],"columns":["cur_cfg"]}
{"op":"update","table":"Bridge","where":[],"row":{"fail_mode":"insecure"}}
{"op":"update","table":"Bridge","where":[],"row":{"fail_mode":["set",["secure","standalone"]]}}
{"op":"update","table":"Bridge","where":[],"row":{"flood_vlans":4096}}
{"op":"update","table":"Bridge","where":[],"row":{"name":"x"}}
{"op":"update","table":"Bridge","where":[],"row":{"stp_enable":["set",[]]}}
{"op":"update","table":"Bridge","where":[],"row":{"stp_enable":"true"}}
{"op":"update","table":"Bridge","where":[],"row":{"nothing":"true"}}
{"op":"update","table":"Bridge","where":[["name","==","none"]],"row":{"stp_enable":true}}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["flood_vlans","insert",["set",[3,4]]],["flood_vlans","delete",1],["other_config","insert",["map",[["a","kept"],["e","f"]]]],["other_config","delete",["set",["c"]]]]}
{"op":"select","table":"Bridge","where":[["name","==","b"]],"columns":["flood_vlans","other_config"]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["other_config","delete",["map",[["a","b"],["e","x"]]]]]}
{"op":"select","table":"Bridge","where":[["name","==","b"]],"columns":["flood_vlans","other_config"]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["flood_vlans","+=",10]]}
{"op":"select","table":"Bridge","where":[["name","==","b"]],"columns":["flood_vlans"]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["flood_vlans","*=",1000]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["flood_vlans","*=",0]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["fail_mode","insert","standalone"]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["fail_mode","delete","standalone"]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["name","insert","x"]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["stp_enable","+=",true]]}
{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["stp_enable","insert",true]]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",7],["next_cfg","*=",3],["next_cfg","-=",1],["next_cfg","/=",4]]},{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","%=",3]]},{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","/=",0]]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","%=",0]]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",9223372036854775807]]}
{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","=+",1]]}
{"op":"wait","table":"Bridge","where":[["name","==","b"]],"columns":["name","fail_mode"],"until":"==","rows":[{"name":"b","fail_mode":"secure"}],"timeout":0}
{"op":"wait","table":"Bridge","where":[["name","==","b"]],"columns":["name","fail_mode"],"until":"==","rows":[{"name":"b"}],"timeout":0}
{"op":"wait","table":"Bridge","where":[["name","==","b"]],"columns":["name","fail_mode"],"until":"!=","rows":[{"name":"b"}],"timeout":0}
{"op":"wait","table":"Bridge","where":[["name","==","b"]],"columns":["name"],"until":"=","rows":[],"timeout":0}
{"op":"insert","table":"QoS","row":{"type":"gone"}},{"op":"abort"},{"op":"comment","comment":"not tried"}
{"op":"select","table":"QoS","where":[],"columns":["type"]}
{"op":"assert","lock":"nobody"}
{"op":"commit","durable":true}
{"op":"insert","table":"Queue","row":{"dscp":63},"uuid-name":"q"},{"op":"insert","table":"QoS","row":{"type":"t","queues":["map",[[5,["named-uuid","q"]]]]}}
{"op":"select","table":"QoS","where":[["type","==","t"]],"columns":["type","queues"]},{"op":"select","table":"Queue","where":[],"columns":["_uuid","dscp"]}
{"op":"delete","table":"Queue","where":[]}
{"op":"delete","table":"QoS","where":[]},{"op":"delete","table":"Queue","where":[]}
{"op":"insert","table":"Mirror","row":{"name":"m"},"uuid-name":"m"},{"op":"update","table":"Bridge","where":[["name","==","b"]],"row":{"mirrors":["named-uuid","m"]}},{"op":"insert","table":"Interface","row":{"name":"w"},"uuid-name":"i"},{"op":"insert","table":"Port","row":{"name":"w","interfaces":["named-uuid","i"]},"uuid-name":"w"},{"op":"mutate","table":"Bridge","where":[["name","==","b"]],"mutations":[["ports","insert",["named-uuid","w"]]]},{"op":"update","table":"Mirror","where":[],"row":{"select_src_port":["named-uuid","w"],"output_port":["named-uuid","w"]}}
{"op":"select","table":"Mirror","where":[],"columns":["name","select_src_port","output_port"]},{"op":"select","table":"Port","where":[["name","==","w"]],"columns":["_uuid"]}
{"op":"update","table":"Bridge","where":[["name","==","b"]],"row":{"ports":["set",[]]}}
{"op":"select","table":"Mirror","where":[],"columns":["name","select_src_port","output_port"]},{"op":"select","table":"Port","where":[],"columns":["name"]},{"op":"select","table":"Interface","where":[],"columns":["name"]}
{"op":"delete","table":"Bridge","where":[["name","==","b2"]]}
{"op":"update","table":"Open_vSwitch","where":[],"row":{"bridges":["set",[]]}},{"op":"select","table":"Bridge","where":[["name","==","b2"]],"columns":["name"]}
{"op":"select","table":"Bridge","where":[],"columns":["name"]},{"op":"select","table":"Mirror","where":[],"columns":["name"]}
{"op":"insert","table":"SSL","row":{"private_key":"a"}}
{"op":"insert","table":"NetFlow","row":{"targets":["set",[]]}}
{"op":"insert","table":"Interface","row":{"name":"i","ingress_policing_rate":-1}}
{"op":"insert","table":"Interface","row":{"name":"i","type":7}}
{"op":"insert","table":"Controller","row":{"max_backoff":999}}
{"op":"insert","table":"Flow_Table","row":{"prefixes":["set",["a","b","c","d"]]}}
{"op":"insert","table":"CT_Timeout_Policy","row":{"timeouts":["map",[["tcp_close",1],["nothing",2]]]}}
{"op":"insert","table":"CT_Timeout_Policy","row":{"timeouts":["map",[["tcp_close",-1]]]}}
"#;

struct Stock {
    child: Child,
    dir: PathBuf,
}

impl Stock {
    fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("ovsdb-differential-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        let schema = dir.join("schema");
        std::fs::write(&schema, open_vswitch::schema().to_json().to_string()).expect("schema");
        const MISSING: &str = "install Debian's openvswitch-common and openvswitch-switch";
        let (db, socket) = (dir.join("conf.db"), dir.join("db.sock"));
        let created = Command::new("ovsdb-tool")
            .arg("create")
            .args([&db, &schema])
            .status()
            .expect(MISSING);
        assert!(created.success(), "our schema is good for ovsdb-tool");
        let child = Command::new("ovsdb-server")
            .env("OVS_RUNDIR", &dir)
            .arg(format!("--remote=punix:{}", socket.display()))
            .arg(format!("--unixctl={}", dir.join("ctl").display()))
            .args(["-vconsole:off", "-vfile:off"])
            .arg(&db)
            .spawn()
            .expect(MISSING);
        let end = Instant::now() + Duration::from_secs(10);
        while !socket.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, dir }
    }

    fn transact(&self, params: &Value) -> Value {
        let target = format!("unix:{}", self.dir.join("db.sock").display());
        let output = Command::new("ovsdb-client")
            .args(["transact", &target, &params.to_string()])
            .output();
        let output = output.expect("ovsdb-client");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{params}: {e}: {output:?}"))
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

struct Ours(Server);

impl Ours {
    fn start() -> Self {
        let mut server = Server::new((), Limits::default());
        server.host(Database::new(open_vswitch::schema()), None);
        server.connect(SessionId(1)).expect("connects");
        Self(server)
    }

    fn transact(&mut self, params: &Value) -> Value {
        let params = params.as_array().expect("array").clone();
        self.0.handle(
            Instant::now(),
            SessionId(1),
            Message::request(1, "transact", params),
        );
        match self.0.outputs().pop() {
            Some(Output::Send(
                _,
                Message::Response {
                    result: Ok(result), ..
                },
            )) => result,
            other => panic!("{other:?}"),
        }
    }
}

/// UUIDs by the order of their first appearance in one server's answers.
#[derive(Default)]
struct Uuids(BTreeMap<String, usize>);

impl Uuids {
    fn normal(&mut self, json: Value) -> Value {
        match json {
            Value::String(s) if ovsdb::value::parse_uuid(&s).is_some() => {
                let next = self.0.len();
                json!(format!("uuid {}", self.0.entry(s).or_insert(next)))
            }
            Value::Array(list) => {
                let list = list.into_iter().map(|item| self.normal(item));
                list.collect()
            }
            Value::Object(object) => {
                let kept = object.into_iter().filter(|(k, _)| {
                    !["details", "syntax", "_uuid", "_version"].contains(&k.as_str())
                });
                Value::Object(kept.map(|(k, v)| (k, self.normal(v))).collect())
            }
            other => other,
        }
    }
}

#[test]
fn equals_the_stock_server() {
    let (stock, mut ours) = (Stock::start(), Ours::start());
    let (mut stock_uuids, mut our_uuids) = (Uuids::default(), Uuids::default());
    let mut differences = Vec::new();
    for line in TRANSACTIONS.lines().filter(|l| !l.is_empty()) {
        let params: Value =
            serde_json::from_str(&format!("[\"Open_vSwitch\",{line}]")).expect(line);
        let (want, got) = (stock.transact(&params), ours.transact(&params));
        let (want, got) = (stock_uuids.normal(want), our_uuids.normal(got));
        if want != got {
            differences.push(format!("{line}\n  stock {want}\n  ours  {got}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
