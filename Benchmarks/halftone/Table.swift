/// Lines of aligned columns.
struct Table {
    struct Column {
        let title: String
        let alignsRight: Bool
        var width: Int

        static func left(_ title: String, width: Int = 0) -> Column {
            Column(title: title, alignsRight: false, width: max(width, title.count))
        }

        static func right(_ title: String, width: Int = 0) -> Column {
            Column(title: title, alignsRight: true, width: max(width, title.count))
        }
    }

    private(set) var columns: [Column]
    private var rows: [[String]] = []

    init(columns: [Column]) {
        self.columns = columns
    }

    /// Adds a line and widens the columns where it needs that.
    mutating func add(_ cells: [String]) {
        for (index, cell) in cells.enumerated() { columns[index].width = max(columns[index].width, cell.count) }
        rows.append(cells)
    }

    var header: String { line(columns.map(\.title)) }

    var text: String { ([header] + rows.map(line)).joined(separator: "\n") }

    /// One line in the present widths; for tables that are printed while they grow.
    func line(_ cells: [String]) -> String {
        let padded = zip(cells, columns).map { cell, column in
            let blanks = String(repeating: " ", count: max(0, column.width - cell.count))
            return column.alignsRight ? blanks + cell : cell + blanks
        }
        let joined = padded.joined(separator: "  ")
        return String(joined.reversed().drop { $0 == " " }.reversed())
    }
}
