import ArgumentParser
import Gateway

@main
struct App: AsyncParsableCommand {
    func run() async throws {}
}
