-- Wireshark dissector for gpw, the two-byte pseudowire: Ethernet over Ethernet (type 0x96fc) or IPv6 (next header
-- 252). Joins the two parts of a split frame, and hands what is inside to the Ethernet dissector.
--
-- Install: copy to ~/.local/lib/wireshark/plugins/, or tshark -X lua_script:gpw.lua
-- The control word is little-endian as the program in the field sends it; documented is the other order:
-- preference "gpw.order", or tshark -o gpw.order:"big endian (as documented)"

local gpw = Proto("gpw", "ginzado pseudowire")

local LITTLE, BIG = 1, 2
gpw.prefs.order = Pref.enum("Byte order of the control word", LITTLE, "As deployed, or as documented", {
    { 1, "little endian (as deployed)", LITTLE },
    { 2, "big endian (as documented)", BIG },
}, false)
gpw.prefs.join = Pref.bool("Join parts", true, "Join the two parts of a split frame")

local WHOLE, FIRST, SECOND = 0, 1, 2
local NAMES = { [WHOLE] = "whole frame", [FIRST] = "first part", [SECOND] = "second part" }

local f = {
    control = ProtoField.uint16("gpw.control", "Control word", base.HEX),
    part = ProtoField.uint8("gpw.part", "Part", base.DEC, NAMES),
    id = ProtoField.uint16("gpw.id", "Id", base.DEC),
    first = ProtoField.framenum("gpw.first", "First part in", base.NONE),
    second = ProtoField.framenum("gpw.second", "Second part in", base.NONE),
    size = ProtoField.uint32("gpw.joined_size", "Size of the joined frame", base.DEC),
}
gpw.fields = { f.control, f.part, f.id, f.first, f.second, f.size }

local unmarked = ProtoExpert.new("gpw.unmarked", "A part without the bit that says so",
    expert.group.PROTOCOL, expert.severity.WARN)
local too_short = ProtoExpert.new("gpw.short", "Shorter than the control word",
    expert.group.MALFORMED, expert.severity.ERROR)
gpw.experts = { unmarked, too_short }

-- Parts that wait for the other one: by both addresses and id.
local waiting = {}
-- What became of a packet's part, by packet number: { first =, second =, bytes = (in the later one) }.
local joined = {}

function gpw.init()
    waiting, joined = {}, {}
end

local function join(pinfo, part, id, bytes)
    local key = string.format("%s>%s/%d", tostring(pinfo.src), tostring(pinfo.dst), id)
    local other = waiting[key]
    if other == nil or other.part == part then
        -- A part that is there twice: the later one counts, ids come again.
        waiting[key] = { part = part, number = pinfo.number, bytes = bytes }
        return
    end
    waiting[key] = nil
    local mine = { part = part, number = pinfo.number, bytes = bytes }
    local first, second = other, mine
    if part == FIRST then
        first, second = mine, other
    end
    local whole = first.bytes:subset(0, first.bytes:len())
    whole:append(second.bytes)
    joined[other.number] = { first = first.number, second = second.number }
    joined[pinfo.number] = { first = first.number, second = second.number, bytes = whole }
end

function gpw.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "gpw"
    if tvb:reported_len() < 2 or tvb:len() < 2 then
        tree:add(gpw, tvb()):add_proto_expert_info(too_short)
        return tvb:len()
    end
    local head = tvb(0, 2)
    local word = gpw.prefs.order == BIG and head:uint() or head:le_uint()
    -- As the program reads it: what is not 0 is a part, whatever the top bit says.
    local id = bit.band(word, 0x3fff)
    local part = WHOLE
    if word ~= 0 then
        part = bit.band(word, 0x4000) == 0 and FIRST or SECOND
    end
    local sub = tree:add(gpw, head)
    sub:add(f.control, head, word)
    sub:add(f.part, head, part)
    sub:append_text(", " .. NAMES[part])
    local inner = Dissector.get("eth_withoutfcs")
    if part == WHOLE then
        if tvb:len() > 2 then
            inner:call(tvb(2):tvb(), pinfo, tree)
        end
        return tvb:len()
    end
    sub:add(f.id, head, id)
    sub:append_text(", id " .. id)
    if bit.band(word, 0x8000) == 0 then
        sub:add_proto_expert_info(unmarked)
    end
    pinfo.cols.info = string.format("%s, id %d, %d bytes", NAMES[part], id, tvb:len() - 2)
    local is_complete = tvb:len() == tvb:reported_len() and tvb:len() > 2
    if not pinfo.visited and gpw.prefs.join and is_complete then
        join(pinfo, part, id, tvb(2):bytes())
    end
    local found = gpw.prefs.join and joined[pinfo.number] or nil
    if found then
        local other = part == FIRST and f.second or f.first
        sub:add(other, part == FIRST and found.second or found.first):set_generated()
        if found.bytes then
            sub:add(f.size, found.bytes:len()):set_generated()
            inner:call(found.bytes:tvb("Joined frame"), pinfo, tree)
            return tvb:len()
        end
    end
    if tvb:len() > 2 then
        Dissector.get("data"):call(tvb(2):tvb(), pinfo, tree)
    end
    return tvb:len()
end

DissectorTable.get("ethertype"):add(0x96fc, gpw)
DissectorTable.get("ip.proto"):add(252, gpw)
