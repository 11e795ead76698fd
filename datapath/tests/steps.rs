//! Steps of programs that rules of several kinds make together: groups, meters, labels and other headers, links that are
//! chosen by a hash.

#[path = "steps/bed.rs"]
mod bed;
#[path = "steps/groups.rs"]
mod groups;
#[path = "steps/labels.rs"]
mod labels;
#[path = "steps/meters.rs"]
mod meters;
