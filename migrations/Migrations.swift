/// The steps of the database schema, embedded in the binary.
public enum Migrations {
    /// One step: its version is its place in `all`, from 1.
    public struct Step: Sendable {
        public let name: String
        public let sql: String
    }

    /// All steps in order. A released step never changes.
    public static let all: [Step] = [
        Step(name: "0001_initial", sql: String(decoding: PackageResources._001_initial_sql, as: UTF8.self)),
        Step(name: "0002_models", sql: String(decoding: PackageResources._002_models_sql, as: UTF8.self)),
        Step(name: "0003_running_models", sql: String(decoding: PackageResources._003_running_models_sql, as: UTF8.self)),
        Step(name: "0004_producers_of_users", sql: String(decoding: PackageResources._004_producers_of_users_sql, as: UTF8.self)),
        Step(name: "0005_people", sql: String(decoding: PackageResources._005_people_sql, as: UTF8.self)),
    ]

    /// The schema version that this program writes.
    public static var version: Int { all.count }
}
