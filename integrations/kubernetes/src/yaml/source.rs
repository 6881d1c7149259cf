//! Where an octet of a text stands in the file that the user has open.

use super::build::Mark;

/// A text, and for each octet of it a line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The text.
    pub(super) text: String,
    places: Places,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Places {
    /// The text is a file: where each of its lines begins.
    Lines(Vec<usize>),
    /// The text is a scalar of another one: offset, line and column of its visible characters.
    Inner(Vec<(usize, usize, usize)>),
}

impl Source {
    /// A file.
    pub(super) fn file(text: &str) -> Self {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')) {
                lines.push(index + 1);
            }
        }
        Self { text: text.to_owned(), places: Places::Lines(lines) }
    }

    /// The text `value` of a scalar of `outer`.
    ///
    /// Folding and indentation change white space only, so the visible characters of both are the same
    /// in the same order. Where they are not (escapes), everything is at the scalar's beginning.
    pub(super) fn inner(outer: &Self, mark: &Mark, value: &str) -> Self {
        let quotes = usize::from(mark.quoted);
        let start = mark.start + quotes;
        let content = outer.text.get(start..mark.end.saturating_sub(quotes)).unwrap_or("");
        let visible = |text: &str| -> Vec<(usize, char)> {
            text.char_indices().filter(|(_, c)| !c.is_whitespace()).collect()
        };
        let (ours, theirs) = (visible(value), outer.visible(start, content));
        let same =
            ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(our, their)| our.1 == their.0);
        let places = if same {
            ours.iter().zip(&theirs).map(|(our, their)| (our.0, their.1, their.2)).collect()
        } else {
            let (line, column) = outer.locate(mark.start);
            vec![(0, line, column)]
        };
        Self { text: value.to_owned(), places: Places::Inner(places) }
    }

    /// The visible characters of a part of the text that begins at `start`, with line and column.
    fn visible(&self, start: usize, part: &str) -> Vec<(char, usize, usize)> {
        let (mut line, mut column) = self.locate(start);
        let mut characters = part.char_indices().peekable();
        let mut visible = Vec::new();
        while let Some((offset, c)) = characters.next() {
            if !c.is_whitespace() {
                let place = match &self.places {
                    Places::Lines(_) => (line, column),
                    Places::Inner(_) => self.locate(start + offset),
                };
                visible.push((c, place.0, place.1));
            }
            let ends = c == '\n' || (c == '\r' && characters.peek().is_none_or(|next| next.1 != '\n'));
            (line, column) = if ends { (line + 1, 1) } else { (line, column + 1) };
        }
        visible
    }

    /// Line and column of an octet, both from 1; columns count characters.
    pub(super) fn locate(&self, offset: usize) -> (usize, usize) {
        match &self.places {
            Places::Lines(lines) => {
                let offset = offset.min(self.text.len());
                let line = lines.partition_point(|start| *start <= offset).max(1);
                let start = lines.get(line - 1).copied().unwrap_or(0);
                let before = self.text.get(start..offset).unwrap_or("");
                (line, before.chars().filter(|c| *c != '\u{FEFF}').count() + 1)
            }
            Places::Inner(places) => {
                let next = places.partition_point(|place| place.0 < offset);
                let exact = places.get(next).filter(|place| place.0 == offset);
                exact
                    .or_else(|| next.checked_sub(1).and_then(|before| places.get(before)))
                    .or_else(|| places.first())
                    .map_or((1, 1), |place| (place.1, place.2))
            }
        }
    }

    /// The octet at which character number `index` begins.
    pub(super) fn offset_of_character(&self, index: usize) -> usize {
        self.text.char_indices().nth(index).map_or(self.text.len(), |(offset, _)| offset)
    }
}
