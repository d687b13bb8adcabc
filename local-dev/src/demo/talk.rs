//! What the users of the demo have said.

/// Who talks.
pub const USERNAMES: [&str; 4] = ["mira", "jonas", "priya", "tomas"];

/// People who talk for a while, without a long pause.
pub(super) struct Sitting {
    /// How long ago it ended, in minutes.
    pub(super) ended_minutes_ago: u32,
    /// What was said, in order.
    pub(super) lines: &'static [Line],
}

/// One message.
pub(super) struct Line {
    /// Seconds since the line before.
    pub(super) pause: u32,
    /// Who said it.
    pub(super) username: &'static str,
    /// What.
    pub(super) text: &'static str,
}

const fn line(pause: u32, username: &'static str, text: &'static str) -> Line {
    Line { pause, username, text }
}

const DAY: u32 = 24 * 60;

/// The sittings, oldest first.
pub(super) const TALK: &[Sitting] = &[
    Sitting {
        ended_minutes_ago: 4 * DAY + 25,
        lines: &[
            line(0, "mira", "Good morning! Is anybody here yet?"),
            line(95, "jonas", "Morning, Mira."),
            line(8, "jonas", "Just me and the coffee machine so far."),
            line(41, "mira", "Perfect. I wanted to try this out before the others come in."),
            line(12, "mira", "Does a message with\na line break\nstay in one piece?"),
            line(19, "jonas", "It does here: three lines."),
            line(64, "priya", "Hello both 👋"),
            line(22, "mira", "Priya! How was the train?"),
            line(
                71,
                "priya",
                "Late, crowded, and the heating only knew two settings. I read half a book, so I won't complain. The other half \
                 has to wait for the way home, unless the meeting this afternoon turns out like the last one.",
            ),
            line(15, "jonas", "😂"),
            line(
                160,
                "priya",
                "Before I forget it: who wants to come along on Saturday? We'd walk along the river to \
                 the old mill, about 14 km, and take the bus back.",
            ),
            line(33, "mira", "Me!"),
            line(27, "jonas", "Depends on the weather, but in principle yes"),
            line(52, "priya", "The map: https://www.openstreetmap.org/#map=13/47.3769/8.5417"),
            line(88, "mira", "Oh, that's a nice one. There is a bakery halfway."),
            line(6, "mira", "I looked that up first, of course."),
        ],
    },
    Sitting {
        ended_minutes_ago: 3 * DAY + 110,
        lines: &[
            line(0, "tomas", "Back from holidays. What did I miss?"),
            line(58, "jonas", "Not much:"),
            line(
                37,
                "jonas",
                "- the new page is out\n- the old one redirects\n- nobody has complained yet",
            ),
            line(24, "tomas", "\"yet\""),
            line(44, "priya", "Welcome back! There's a walk on Saturday, you are hereby invited."),
            line(39, "tomas", "Gladly. When and where?"),
            line(30, "priya", "9:40 at the station, main entrance."),
            line(
                140,
                "tomas",
                "A question about the history. I'd like everything since a message that I know. Is it",
            ),
            line(20, "tomas", "GET /auth/messages?after=12&limit=50"),
            line(11, "tomas", "and then again with the last id I got?"),
            line(
                66,
                "mira",
                "Exactly. Ids have no gaps, so when you hold 16 and get 18, you know that 17 is missing.",
            ),
            line(
                54,
                "mira",
                "In code it is hardly more than\n\nwhile page.length === limit) {\n  page = await messages({ after: last.id, limit });\n  keep(page);\n}",
            ),
            line(31, "jonas", "You lost a bracket there: while (page.length === limit)"),
            line(17, "mira", "That's what I get for typing code into a chat"),
            line(49, "tomas", "Works, thanks! 🎉"),
        ],
    },
    Sitting {
        ended_minutes_ago: 2 * DAY + 45,
        lines: &[
            line(0, "priya", "The forecast for Saturday has changed."),
            line(7, "priya", "Guess in which direction."),
            line(82, "jonas", "☔?"),
            line(13, "priya", "☀️ all day, 19 degrees."),
            line(26, "mira", "Then there's no excuse left, Jonas."),
            line(61, "jonas", "I never needed an excuse. I'll bring the thermos flask."),
            line(204, "tomas", "Does anybody have the recipe for the lentil thing from last time?"),
            line(
                131,
                "priya",
                "Of course:\n\n1. Fry an onion and two cloves of garlic.\n2. Add 250 g red lentils, a tin of tomatoes, 700 ml water.\n\
                 3. Cumin, coriander, a pinch of cinnamon; simmer for 20 minutes.\n4. Lemon juice and salt at the very end.\n\n\
                 It's better on the second day.",
            ),
            line(18, "tomas", "You're the best."),
            line(
                240,
                "mira",
                "I keep reading about Rust's editions again, by the way: https://doc.rust-lang.org/edition-guide/",
            ),
            line(75, "jonas", "Short version?"),
            line(
                48,
                "mira",
                "Old code goes on compiling as it was written, and new code may use new words. Both in one program.",
            ),
            line(9, "jonas", "I wish languages of people had that"),
        ],
    },
    Sitting {
        ended_minutes_ago: DAY + 15,
        lines: &[
            line(0, "tomas", "Tomorrow, then! 9:40?"),
            line(35, "priya", "9:40. The train leaves at 9:52 and doesn't wait, not even for you."),
            line(29, "tomas", "That was one time."),
            line(12, "jonas", "Two."),
            line(10, "mira", "Three, if we count the airport"),
            line(55, "tomas", "I'll set two alarms."),
            line(
                310,
                "jonas",
                "Does anybody still have a head for work? The tests pass here and fail on the other machine.",
            ),
            line(43, "mira", "Time zone?"),
            line(190, "jonas", "… yes."),
            line(5, "jonas", "How did you know?"),
            line(22, "mira", "It is always the time zone. Or the name server."),
            line(14, "tomas", "Or a full disk."),
            line(
                47,
                "priya",
                "Or, once, a moth: https://en.wikipedia.org/wiki/Software_bug#History",
            ),
        ],
    },
    Sitting {
        ended_minutes_ago: 3,
        lines: &[
            line(0, "priya", "I'm at the main entrance, with a red umbrella that we won't need."),
            line(48, "jonas", "On the tram. Four minutes."),
            line(
                25,
                "mira",
                "Here as well, I'm just getting us something from the bakery. Wishes?",
            ),
            line(19, "priya", "Something with nuts please"),
            line(11, "jonas", "Two of whatever you're having"),
            line(67, "tomas", "Both alarms went off."),
            line(6, "tomas", "I'm standing right behind you 😄"),
            line(16, "priya", "!!!"),
            line(38, "mira", "This has to be written down somewhere."),
            line(9, "jonas", "It is now."),
        ],
    },
];
