import Glibc

/// Group membership by name.
public enum Groups {
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
