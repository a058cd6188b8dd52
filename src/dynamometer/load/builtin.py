"""The built-in prompts, written for this project: questions of many kinds, and passages that make them longer."""

from __future__ import annotations

QUESTIONS: tuple[str, ...] = (
    "Explain in simple words why the sky is blue at noon and red at sunset.",
    "Describe how a bicycle stays upright while it is moving.",
    "What happens inside a kettle from the moment it is switched on until the water boils?",
    "Tell me how bread rises, and what changes when the yeast is too old.",
    "Why do leaves change their colour in autumn? Name the substances involved.",
    "Compare the advantages of trains and buses for a town of fifty thousand people.",
    "Write a short story about a lighthouse keeper who finds a letter in a bottle.",
    "Write a letter to a neighbour who plays the trumpet late at night. Stay polite.",
    "Summarise the rules of chess for somebody who has never seen a board.",
    "Give five tips for keeping a small balcony garden alive during a hot summer.",
    "How does a refrigerator move heat from a cold place to a warm one?",
    "Plan a simple dinner for six guests, two of whom do not eat meat.",
    "Explain the difference between weather and climate with two examples.",
    "What should a person check before buying a used car?",
    "Describe the path of a letter from the mailbox to the door of the receiver.",
    "Write a poem of four lines about rain on a tin roof.",
    "How can a teacher explain fractions to children with the help of a pizza?",
    "What is a database index, and when does it make things slower?",
    "Write a Python function that returns the longest word of a sentence, and explain each line.",
    "Explain what recursion is, and show where it fails.",
    "A programme prints nothing and ends without an error. List what you would look at, in order.",
    "What is the difference between a process and a thread?",
    "Describe how two computers agree on a secret while somebody else is listening.",
    "Why do programmers count from zero? Give one reason for it and one against it.",
    "Write a regular expression for a date such as 2024-05-17, and explain its parts.",
    "What does a compiler do before it produces machine code?",
    "Explain to a manager why a piece of software that works still needs maintenance.",
    "Give an example of a race condition from everyday life.",
    "A tank holds 240 litres and loses 3 litres an hour. When is it half empty? Show the steps.",
    "Two trains leave stations 300 kilometres apart at 80 and 70 kilometres per hour. When do they meet?",
    "What is the probability of rolling at least one six with three dice? Explain the reasoning.",
    "Explain why dividing by zero has no answer.",
    "How would you estimate the number of windows in a large city?",
    "What is the difference between the mean and the median, and when does it matter?",
    "Explain compound interest with a savings account of one thousand coins.",
    "A farmer has hens and rabbits: 35 heads and 94 legs. How many of each? Show your work.",
    "Who needs a map today? Argue for paper maps in three short paragraphs.",
    "Describe the life of a river from its spring to the sea.",
    "How do volcanoes form, and why are many of them found near coasts?",
    "Why is the Moon sometimes visible during the day?",
    "What would change on Earth if a day lasted forty hours?",
    "Explain how vaccines prepare the body for an illness.",
    "Why do we dream? Present two theories and say how sure science is of each.",
    "Describe what happens to a sandwich on its way through the body.",
    "What makes a good apology? Give an example of a bad one and improve it.",
    "Give advice to somebody who has to speak in front of a hundred people tomorrow.",
    "How can two friends share the cost of a holiday fairly when one earns far more?",
    "Invent a festival for a village by the sea: its name, its food and its oldest custom.",
    "Describe a market at six in the morning using sounds and smells only.",
    "Write a dialogue between a clock and a calendar about which of them matters more.",
    "Continue this story: The door had been locked for years, but that night a light shone under it.",
    "Rewrite this sentence in three styles, formal, friendly and funny: The meeting has been moved to Friday.",
    "Translate into French and German: Where is the nearest pharmacy, and is it open on Sunday?",
    "Give ten names for a small bakery, and say which one you like best and why.",
    "Write the instructions for a board game in which the players build a railway.",
    "List the arguments for and against a four-day working week.",
    "Explain how an election with two rounds works, and what it is good for.",
    "What did the printing press change in the first hundred years after its invention?",
    "Why did cities grow along rivers and coasts? Give three reasons with examples.",
    "Describe the daily work of a medieval stonemason.",
    "How did sailors find their position before there were satellites?",
    "Explain supply and demand with the price of umbrellas on a rainy day.",
    "What is inflation, and who gains from it?",
    "How do noise-cancelling headphones make the world quieter?",
    "Explain how a touch screen knows where the finger is.",
    "Why do batteries grow weak with age? Describe it without formulas.",
    "What is the difference between a lens and a mirror in a telescope?",
    "Compare wind and solar power for an island with four hundred houses.",
    "Design a fair test that shows whether plants grow better with music.",
    "Extract the names and the dates: Clara met Yusuf on 3 May; they opened the shop on 12 June with Ines.",
    "Sort these into three groups and name each group: violin, hammer, carrot, saw, flute, onion, drum, pliers.",
    "Answer yes or no and give one reason: Can a shadow be longer than the thing that casts it?",
)

_PASSAGES = """
The ferry left at seven, ten minutes late, with forty passengers and a piano on its deck. Nobody knew who had
ordered the piano, yet by the time the harbour was out of sight somebody had begun to play it.

In the north of the county the soil is heavy and keeps water well into June. Farmers there sow late, and they
have learned to trust the smell of the ground more than the calendar on the kitchen wall.

The museum keeps its clocks in a room without windows. Each of them shows a different time, and the guard who
winds them every Monday says that this is the only honest way to treat so many opinions.

A bridge is never quite still. It grows in summer, shrinks in winter and trembles under every lorry; the
engineer's task is not to forbid these movements but to give each of them enough room.

When the power failed on the third floor, the library stayed open by candlelight. Readers spoke more softly than
usual, and the librarian found two books that had been missing since spring.

The recipe asks for flour, water, salt and patience. The first three can be weighed; the fourth decides whether
the crust will sing when the loaf is taken from the oven and set down to cool.

Our survey covered eleven streets and four hundred households. Most people walked to work, a third used the
tram, and those who drove gave the same reason: the last tram leaves before their shift ends.

The glacier has withdrawn by two kilometres since the first photograph was taken. Where the ice had been there
is now a lake, milky green, in which small icebergs turn slowly like animals asleep.

Every signal that travels along a wire loses strength and gathers noise. A repeater reads what is left, decides
what was meant and says it again, clearly, so that the next stretch of wire can begin afresh.

The committee met nine times before it agreed on the colour of the benches. By then the park had been open for a
year, and visitors had long since brought their own chairs.

Bees returning from a rich field dance for the others, and the angle of the dance tells the direction. A dancer
in a hurry makes mistakes, which sends a few workers to fields that nobody had known about.

The old cable station stands on a cliff above the bay. Messages from another continent arrived here as a spot of
light that swung left or right on a paper scale, and two clerks had to agree on what they saw.

To tune a piano, one first sets a single string right and then argues all the others into agreement. No interval
ends up perfect except the octave; the art lies in spreading the error where nobody minds.

The train crosses the plain in four hours without a bend. Passengers who take it every week say that they can
tell the villages apart by the sound of the rails, with their eyes shut, even in the snow.

A good map leaves out almost everything. The mapmaker of the valley left out the fences, the new road and both
of the mayors, but drew every spring, because in August that is what a traveller asks for.

The harbour pilot boards each ship from a small boat, climbs a rope ladder and takes command for an hour. He
knows the sandbanks by heart, although they move a little with every storm.
"""

PASSAGES: tuple[str, ...] = tuple(" ".join(passage.split()) for passage in _PASSAGES.strip().split("\n\n"))
