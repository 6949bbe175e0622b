import Glibc

/// Group membership by name.
public enum Groups {
    /// The user that this process is.
    public static var ownUser: UInt32 { getuid() }

    /// Whether a connected peer belongs to the group: by the groups it has, else by the group's member list.
    ///
    /// In a user namespace (PrivateUsers=) foreign users have no number, but the groups that the namespace knows keep theirs.
    public static func contains(_ peer: PeerCredentials, group name: String) -> Bool {
        if !name.isEmpty, let entry = getgrnam(name), peer.groups.contains(entry.pointee.gr_gid) { return true }
        return contains(user: peer.userID, primaryGroup: peer.groupID, group: name)
    }

    /// Whether this system knows a group of that name.
    public static func exists(_ name: String) -> Bool { getgrnam(name) != nil }

    /// Whether the user belongs to the group: by primary group or by the group's member list.
    public static func contains(user: UInt32, primaryGroup: UInt32, group name: String) -> Bool {
        guard !name.isEmpty, let entry = getgrnam(name) else { return false }
        if entry.pointee.gr_gid == primaryGroup { return true }
        guard let person = getpwuid(user), let members = entry.pointee.gr_mem else { return false }
        let own = String(cString: person.pointee.pw_name)
        var index = 0
        while let member = members[index] {
            if String(cString: member) == own { return true }
            index += 1
        }
        return false
    }
}
