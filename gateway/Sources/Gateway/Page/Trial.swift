import Glibc
import NIOPosix
import Platform

/// Scores a file as `rnnctl score` does, by running it: the same code, in a process that is ended when it takes too long.
struct Trial: Sendable {
    let program: String
    static let fileBytesMax = 4 << 20
    static let outputBytesMax = 32 << 20
    static let secondsMax = 20

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// What `rnnctl score` prints for the file: CSV.
    func score(_ file: [UInt8], format: String) async throws -> String {
        try await NIOThreadPool.singleton.runIfActive { try run(file, format) }
    }

    private func run(_ file: [UInt8], _ format: String) throws -> String {
        guard access(program, X_OK) == 0 else { throw Failure(description: "\(program) is not there: set rnnctl in the configuration") }
        let input = try Files.memoryFile("trial", file)
        let output = try Files.memoryFile("trial-scores", [])
        let errors = try Files.memoryFile("trial-errors", [])
        lseek(input.raw, 0, SEEK_SET)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.raw, 0)
        posix_spawn_file_actions_adddup2(&actions, output.raw, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.raw, 2)
        let words = [program, "score", "-", "--format", format]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var child: pid_t = 0
        let code = posix_spawn(&child, program, &actions, nil, &arguments, &environment)
        guard code == 0 else { throw Failure(description: "cannot run \(program): \(String(cString: strerror(code)))") }
        let status = try wait(child, output.raw)
        lseek(errors.raw, 0, SEEK_SET)
        let told = String(decoding: try Files.readAll(errors.raw, object: "messages", bytesMax: 64 << 10), as: UTF8.self)
        guard status == 0 else { throw Failure(description: told.isEmpty ? "rnnctl score ended with \(status)" : String(told.prefix(500))) }
        lseek(output.raw, 0, SEEK_SET)
        return String(decoding: try Files.readAll(output.raw, object: "scores", bytesMax: Trial.outputBytesMax), as: UTF8.self)
    }

    private func wait(_ child: pid_t, _ output: Int32) throws -> Int32 {
        let end = Clocks.monotonic() + Int64(Trial.secondsMax) * 1_000_000_000
        var status: Int32 = 0
        while true {
            let result = waitpid(child, &status, WNOHANG)
            if result == child { return status }
            if result < 0, errno != EINTR { throw Failure(description: "cannot wait for rnnctl") }
            var size = stat()
            fstat(output, &size)
            if Clocks.monotonic() > end || size.st_size > Trial.outputBytesMax {
                kill(child, SIGKILL)
                waitpid(child, &status, 0)
                throw Failure(
                    description: "scoring took more than \(Trial.secondsMax) s or \(Trial.outputBytesMax >> 20) MiB: try a shorter file")
            }
            Clocks.sleep(nanoseconds: 10_000_000)
        }
    }

    /// The file of a form (`multipart/form-data`), or the body itself.
    static func file(_ body: [UInt8], contentType: String) -> [UInt8]? {
        guard contentType.lowercased().hasPrefix("multipart/form-data") else { return body }
        guard let mark = contentType.range(after: "boundary=") else { return nil }
        let boundary = Array(("--" + mark.filter { $0 != "\"" }).utf8)
        guard let head = first(of: Array("\r\n\r\n".utf8), in: body[...]) else { return nil }
        let rest = body[(head + 4)...]
        guard let end = first(of: Array("\r\n".utf8) + boundary, in: rest) else { return nil }
        return Array(rest[..<end])
    }

    private static func first(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= pattern.count, let start = pattern.first else { return nil }
        var place = bytes.startIndex
        while place + pattern.count <= bytes.endIndex {
            if bytes[place] == start, bytes[place..<place + pattern.count].elementsEqual(pattern) { return place }
            place += 1
        }
        return nil
    }
}

extension String {
    /// What follows `mark`, up to a semicolon.
    fileprivate func range(after mark: String) -> String? {
        var rest = Substring(self)
        while !rest.isEmpty {
            if rest.hasPrefix(mark) { return String(rest.dropFirst(mark.count).prefix { $0 != ";" }) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
