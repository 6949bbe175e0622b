import Configuration
import Platform
import TimeSeries

/// Time zones of this system, read once per name from its compiled tables.
enum Zones {
    private static let directory = "/usr/share/zoneinfo"
    private static let fileBytesMax = 1 << 20

    /// The rules of a zone: "UTC", "system" (/etc/localtime; UTC without one) or a name of the table. Errors: no such zone, a bad file.
    static func rules(_ name: String) throws -> TimeZoneRules {
        if name == "UTC" { return .utc }
        let path = name == "system" ? "/etc/localtime" : "\(directory)/\(name)"
        if name == "system", !Files.exists(path) { return .utc }
        return try TimeZoneRules(tzif: try Files.read(path, bytesMax: fileBytesMax))
    }

    /// The rules of all zones that a configuration names.
    ///
    /// Errors: one problem for each name that the system does not know.
    static func all(of configuration: Configuration, file: String) throws(ConfigurationErrors) -> [String: TimeZoneRules] {
        var rules: [String: TimeZoneRules] = [:]
        var problems: [ConfigurationProblem] = []
        for (name, section) in configuration.timeZones where rules[name] == nil {
            do { rules[name] = try Zones.rules(name) } catch {
                let place = section.map { " (section \($0 + 1) of [[streams]])" } ?? ""
                problems.append(
                    ConfigurationProblem(
                        file: file, line: 0, column: 0,
                        message: "timezone: got \"\(name)\"\(place), expected \(Key.Kind.zone.expected) (\(error))"))
            }
        }
        guard problems.isEmpty else { throw ConfigurationErrors(problems: problems) }
        return rules
    }
}
